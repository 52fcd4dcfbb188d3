"""Programs in a text, and the tests that grade them."""

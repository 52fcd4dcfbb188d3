"""Programs in a text, and the tests by which they are graded."""

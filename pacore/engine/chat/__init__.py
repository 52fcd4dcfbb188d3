"""The chat completions interface: requests as servers want them, responses as servers give them."""

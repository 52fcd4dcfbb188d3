"""The chat completions interface: the wire formats of requests and the layouts of responses."""

"""How a page becomes text for a terminal, Markdown, JSON or a picture."""

"""Models followed through their training: each of them, and rounds in which two of them meet."""

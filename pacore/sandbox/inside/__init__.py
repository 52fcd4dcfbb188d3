"""Modules that run inside the sandbox, on the system's Python; they import the standard library only."""

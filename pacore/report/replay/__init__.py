"""A replay of stopping rules as people read it."""

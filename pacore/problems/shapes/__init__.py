"""Shapes of published data sets: which row is of which, and what problem it states.

A row is of the first shape in `SHAPES` that knows it by its fields and values; the name of its file
never counts. What no other shape knows is plain. A person's mapping wins over all of them.
"""

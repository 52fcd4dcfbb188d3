"""Shapes: the row layouts of published data sets, and how a row of each is converted to a problem.

A row has the first shape in `SHAPES` that recognises its fields and values, regardless of the name of
its file; a row that no other shape recognises is plain. The user's mapping takes precedence.
"""

"""Exports for trainers: the rows of each format, the folder they are written to, and what checks it."""

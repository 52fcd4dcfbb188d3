"""Prefect tasks: one a noun, each a thin wrapper that gives a stage its place in the graph."""

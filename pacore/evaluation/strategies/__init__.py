"""Strategies of a sweep beside each other: the frontier, equal costs, and what a budget buys."""

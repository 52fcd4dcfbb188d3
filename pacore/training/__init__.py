"""Data to train on: where problems come from, which are kept and why, and what trainers read."""

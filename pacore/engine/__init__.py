"""Engines, which generate trajectories for requests, behind one protocol."""

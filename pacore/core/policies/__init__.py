"""Policies of a plan that are rules of their own: they decide over a set, and know nothing of a run."""

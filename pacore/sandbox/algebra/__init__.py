"""Computer algebra with proofs: whether two expressions are equal, within a number of steps."""

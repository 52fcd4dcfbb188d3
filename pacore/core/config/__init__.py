"""The fields that a person can set: of runs, evaluations and sweeps."""

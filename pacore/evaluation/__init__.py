"""Statements about finished runs: gradings, measures, comparisons, interventions and sweeps."""

"""What runs are worth: gradings, measures, comparisons, interventions and sweeps."""

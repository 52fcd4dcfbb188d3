"""During a run: which request is sent when, how often it is tried, and how far the run is."""

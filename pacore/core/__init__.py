"""PaCoRe itself: what a run is and what becomes of its trajectories. Pure: no I/O, no Prefect."""

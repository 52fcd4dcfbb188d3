"""Before a run: what it would generate, what it would reuse, and why."""

"""The audit: everything a run's store says, derived again from what it says it was made from.

Files are hashed against their commits; ids, seeds, prompts, messages, answers and sums are made
once more from the rows before them. Nothing is written. What is wrong is a finding with its file
and row, never an exception: the store is what is on trial.
"""

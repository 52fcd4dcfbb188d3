"""The audit: everything in a run's store, recomputed from what it was derived from, and compared.

The digests of files are compared with their commits; ids, seeds, prompts, messages, answers and counts
are recomputed from the rows before them. Nothing is written. What is wrong is a finding with its file
and row, never an exception, since the store is what the audit examines.
"""

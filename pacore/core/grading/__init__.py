"""Grading: what an answer is worth beside the gold answer.

`grade_fast` decides by exact rules; `pacore.sandbox.mathematics` asks computer algebra about the rest, in
processes that can be killed.
"""

"""Grading: compares an answer with the gold answer.

`grade_fast` decides by exact rules; `pacore.sandbox.mathematics` decides the rest by computer algebra, in
processes that can be killed.
"""

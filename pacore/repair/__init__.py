"""Repairing a run: its missing and damaged files are recomputed from what they were derived from.

`broken` finds what is wrong, and `repair` puts it right, in order: the tables by the stages that made
them first, over a `view` of the store in which what is broken is absent. Nothing is generated. A file
with the same bytes as before is put where it was; one with other bytes, as a later version of pacore
writes it, is committed as a repair beside the first commit, and is the current one from then on.
"""

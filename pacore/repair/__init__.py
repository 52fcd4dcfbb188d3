"""Repairing a run: its missing and damaged files, made again from what they were derived from.

`broken` says what is wrong, `deriving` makes the tables again by the stages that made them first, over
a `view` of the store in which what is broken is absent, and `repair` does all of it in order. Nothing is
generated. A file that comes out byte for byte takes its place again; one that does not, as a later
version writes it, is committed as a repair beside the commit of the first, and stands from there on.
"""

"""Importing: trajectories made elsewhere become a run that is graded, voted on and asked like any.

An imported trajectory is never taken for a generated one. Its engine is ``imported``; its recipe
says which file it came from in place of how it was sampled (`pacore.core.recipe.ImportedRecipe`), so its
id lies outside the ids of every run that generates, and no such run ever finds it in the journal.
"""

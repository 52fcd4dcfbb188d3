"""Imports and exports. Imported trajectories form a run, which is graded and queried like any other.

Imported trajectories are distinct from generated ones. Their engine is ``imported``; their recipe has
their file in place of sampling parameters (`pacore.core.recipe.ImportedRecipe`), so that their ids
differ from those of all generated trajectories, and no run that generates reuses them.
"""

"""What travels with an export: modules that a trainer loads, which run without pacore.

An export copies them, with everything of pacore that they import, under another name
(`pacore.training.exports.package`). So the rules of the reward are those of the verdicts in the store, and
nothing here may import what a trainer's machine lacks.
"""

"""Statistics over problems: means with their intervals, comparisons of two runs, and equivalence.

Everything here is a function of numbers. The unit is the problem: replicates of one problem are not
independent of each other, so all spread is taken between problems, or within each (Miller 2024).
Every interval lies within the bounds of what it is of, and contains the estimate it is made for.
"""

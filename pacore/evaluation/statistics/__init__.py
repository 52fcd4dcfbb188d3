"""Statistics over problems: means with their intervals, comparisons of two runs, and equivalence.

Everything here is a function of numbers. The unit is the problem: replicates of one problem are not
independent of each other, so all spread is taken between problems, or within each (Miller 2024).
Every interval lies within the bounds of what it is of, and holds the estimate it is made for.
"""

from pacore.evaluation.statistics.bootstrap import (
    Estimate,
    Pool,
    majority_of,
    mean_of,
    pass_at,
    pass_of,
    pass_power,
    ratio,
    two_level,
)
from pacore.evaluation.statistics.intervals import difference_interval, wilson
from pacore.evaluation.statistics.paired import Equivalence, Paired, equivalence, paired

__all__ = [
    "Equivalence",
    "Estimate",
    "Paired",
    "Pool",
    "difference_interval",
    "equivalence",
    "majority_of",
    "mean_of",
    "paired",
    "pass_at",
    "pass_of",
    "pass_power",
    "ratio",
    "two_level",
    "wilson",
]

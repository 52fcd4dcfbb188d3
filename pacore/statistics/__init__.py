"""Statistics over problems: comparisons of two runs, equivalence, and the two-level bootstrap.

Everything here is a function of numbers. The unit is the problem: replicates of one problem are not
independent of each other, so all spread is taken between problems, or within each (Miller 2024).
"""

from pacore.statistics.bootstrap import (
    Estimate,
    Pool,
    majority_of,
    mean_of,
    ratio,
    two_level,
    wilson,
)
from pacore.statistics.paired import Equivalence, Paired, equivalence, paired

__all__ = [
    "Equivalence",
    "Estimate",
    "Paired",
    "Pool",
    "equivalence",
    "majority_of",
    "mean_of",
    "paired",
    "ratio",
    "two_level",
    "wilson",
]

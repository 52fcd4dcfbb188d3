"""Where the problems of a training set come from: problem sets, and families that are generated."""

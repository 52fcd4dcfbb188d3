"""The grader ``math``: forms of answers, exact values, and how two answers compare."""

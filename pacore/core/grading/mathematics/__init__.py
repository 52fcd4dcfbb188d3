"""The grader ``math``: forms of answers, exact values, and their comparison."""

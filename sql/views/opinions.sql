-- Grain: one row per run of which a judge has given its opinion without a gold answer: the grading of the one
-- that was finished last.
SELECT run_id, grading, grader
FROM gradings
WHERE against = 'opinion' AND finished_at IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY sequence DESC) = 1

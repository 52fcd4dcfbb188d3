-- Grain: one row per run and finished grading of it by a judge.
SELECT run_id, grading, grader, against
FROM gradings
WHERE starts_with(grader, 'judge') AND finished_at IS NOT NULL

-- Grain: one row per grading of run $run_id, finished or not, in the order they were begun.
SELECT sequence, grading, grader, grader_version, against, finished_at, stands
FROM gradings
WHERE run_id = $run_id
ORDER BY sequence

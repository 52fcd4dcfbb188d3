-- Grain: one row per round and problem of run $run_id: overlaps as in `mart_overlap`, means over the episodes.
SELECT *
FROM problem_overlaps
WHERE run_id = $run_id
ORDER BY round, problem_id

-- Grain: one row per pool, k and problem of run $run_id: the expected accuracy of a vote of k of its members.
SELECT pool, k, problem_id, accuracy
FROM majorities
WHERE run_id = $run_id
ORDER BY pool, k, problem_id

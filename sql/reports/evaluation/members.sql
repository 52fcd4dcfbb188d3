-- Grain: one row per pool, problem and scored member of run $run_id.
SELECT pool, problem_id, score, answer_key
FROM pools
WHERE run_id = $run_id AND score IS NOT NULL
ORDER BY pool, problem_id, member

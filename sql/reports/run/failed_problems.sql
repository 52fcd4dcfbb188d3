-- Grain: one row per problem of run $run_id that failed in some replicate, by id.
SELECT DISTINCT problem_id
FROM answers
WHERE run_id = $run_id AND status = 'failed'
ORDER BY problem_id

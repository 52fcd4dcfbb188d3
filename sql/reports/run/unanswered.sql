-- Grain: one row per problem and replicate of run $run_id without an answer, failed ones first.
SELECT problem_id, replicate, status, reason
FROM answers
WHERE run_id = $run_id AND status <> 'answered'
ORDER BY status, problem_id, replicate

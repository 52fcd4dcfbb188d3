-- Grain: one row per problem of run $run_id, those without an answer first.
SELECT problem_id
FROM problems
WHERE run_id = $run_id
ORDER BY
    problem_id NOT IN (
        SELECT problem_id FROM answers WHERE run_id = $run_id AND status <> 'answered'
    ),
    problem_id

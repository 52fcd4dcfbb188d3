-- Grain: at most one row: problem $problem_id of run $run_id.
SELECT problem_id, statement, gold, metadata
FROM problems
WHERE run_id = $run_id AND problem_id = $problem_id

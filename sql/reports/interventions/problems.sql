-- Grain: one row per derived run named in $run_ids and problem of the run it was derived from.
SELECT *
FROM intervened
WHERE list_contains($run_ids, run_id)
ORDER BY run_id, problem_id

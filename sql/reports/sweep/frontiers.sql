-- Grain: one row per run named in $run_ids: accuracy and what it cost.
SELECT *
FROM mart_frontier
WHERE list_contains($run_ids, run_id)
ORDER BY run_id

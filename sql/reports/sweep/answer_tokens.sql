-- Grain: one row per run of $run_ids.
SELECT run_id, tokens_per_answer
FROM mart_frontier
WHERE list_contains($run_ids, run_id)
ORDER BY run_id

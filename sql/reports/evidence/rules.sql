-- Grain: one row per run named in $run_ids and rule of its evidence.
SELECT *
FROM mart_evidence
WHERE list_contains($run_ids, run_id)
ORDER BY run_id, part, rule

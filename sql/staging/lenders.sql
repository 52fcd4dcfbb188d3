-- Grain: one row per run whose stored texts the staged runs reuse, and that is not staged itself.
SELECT DISTINCT text_run_id
FROM trajectories
ANTI JOIN runs ON runs.run_id = trajectories.text_run_id
ORDER BY text_run_id

-- Grain: one row per run whose stored texts the staged runs reuse, and that is not staged itself.
SELECT DISTINCT text_run_id
FROM all_trajectories
ANTI JOIN runs ON runs.run_id = all_trajectories.text_run_id
ORDER BY text_run_id

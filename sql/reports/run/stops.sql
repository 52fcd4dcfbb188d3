-- Grain: one row per round of run $run_id that a stopping rule has decided sets of.
SELECT round, sets, stopped, ended, aborted, not_begun, saved
FROM mart_stops
WHERE run_id = $run_id
ORDER BY round

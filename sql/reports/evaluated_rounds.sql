-- Grain: one row per round of run $run_id that hands messages on: what a perfect choice among them gains.
SELECT round, sets, problems, oracle, accuracy, gap
FROM mart_oracle_gap
WHERE run_id = $run_id
ORDER BY round

-- Grain: one row: the mean number of tokens that a trajectory of round $round of run $run_id generated; null
-- where none were counted.
SELECT avg(completion_tokens) AS mean_tokens
FROM trajectories
WHERE run_id = $run_id AND round = $round

-- Grain: one row per word of the server and what it was taken for, the most frequent first, of run
-- $run_id.
SELECT finish_said, finish_reason, sum(trajectories)::BIGINT AS trajectories
FROM mart_finish_words
WHERE run_id = $run_id
GROUP BY finish_said, finish_reason
ORDER BY trajectories DESC, finish_said, finish_reason

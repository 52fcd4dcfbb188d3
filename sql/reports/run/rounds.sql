-- Grain: one row per round and problem of run $run_id: the mean score of its graded trajectories over all
-- replicates, null where none is graded, and their tokens, those that this run generated and those it reused.
SELECT
    trajectories.round,
    trajectories.problem_id,
    avg(verdicts.score) AS accuracy,
    (coalesce(sum(trajectories.completion_tokens) FILTER (NOT trajectories.reused), 0))::BIGINT AS new_tokens,
    (coalesce(sum(trajectories.completion_tokens) FILTER (trajectories.reused), 0))::BIGINT AS reused_tokens
FROM trajectories
LEFT JOIN verdicts USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE trajectories.run_id = $run_id
GROUP BY trajectories.round, trajectories.problem_id
ORDER BY trajectories.round, trajectories.problem_id

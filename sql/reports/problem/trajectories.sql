-- Grain: one row per replicate, round and slot of problem $problem_id in run $run_id: the current
-- attempt, and the position its message has in the next prompt.
SELECT
    standing.replicate,
    standing.round,
    standing.slot,
    standing.attempt,
    standing.trajectory_id,
    standing.finish_reason,
    standing.conclusion_status,
    standing.completion_tokens,
    standing.reused,
    standing.error,
    left(standing.conclusion, 2000) AS conclusion,
    messages.position
FROM trajectories AS standing
LEFT JOIN messages USING (run_id, round, problem_id, replicate, trajectory_id)
WHERE standing.run_id = $run_id AND standing.problem_id = $problem_id
ORDER BY standing.replicate, standing.round, standing.slot

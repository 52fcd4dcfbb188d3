-- Grain: one row per replicate of $replicates, round and slot of problem $problem_id in run $run_id: the current
-- attempt, the current verdict on it, null where it is not graded, and the position its message has in the next prompt.
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
    left(standing.conclusion, $characters) AS conclusion,
    messages.position,
    verdicts.verdict
FROM trajectories AS standing
LEFT JOIN messages USING (run_id, round, problem_id, replicate, trajectory_id)
LEFT JOIN verdicts USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE
    standing.run_id = $run_id
    AND standing.problem_id = $problem_id
    AND list_contains($replicates, standing.replicate)
ORDER BY standing.replicate, standing.round, standing.slot

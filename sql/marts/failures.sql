-- Grain: one row per run, round, problem, replicate and slot whose current trajectory has no
-- conclusion to make a message of.
SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    attempt,
    trajectory_id,
    finish_reason,
    conclusion_status,
    completion_tokens,
    error
FROM trajectories
WHERE conclusion_status <> 'present'
ORDER BY run_id, round, problem_id, replicate, slot

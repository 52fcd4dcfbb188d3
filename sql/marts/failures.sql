-- Grain: one row per run, round, problem, replicate and slot whose current trajectory has no
-- conclusion to make a message of; those that were aborted did not fail.
-- Columns:
--   runs.run_id
--   trajectories.round
--   problems.problem_id
--   trajectories.replicate
--   trajectories.slot
--   trajectories.attempt
--   trajectories.trajectory_id
--   trajectories.finish_reason
--   trajectories.conclusion_status
--   trajectories.completion_tokens
--   trajectories.error
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
WHERE conclusion_status <> 'present' AND finish_reason <> 'aborted'
ORDER BY run_id, round, problem_id, replicate, slot

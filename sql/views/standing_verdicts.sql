-- Grain: one row per run, round, problem, replicate and slot: the current verdict on its current trajectory, as
-- `verdicts`, which describes the columns, with what of M the trajectory saw.
SELECT
    given.*,
    current.finish_reason,
    current.conclusion_status,
    current.completion_tokens,
    current.prompt_digest,
    current.draw,
    current.prompt_positions,
    current.prompt_messages
FROM all_verdicts AS given
JOIN gradings USING (run_id, grading)
JOIN trajectories AS current
    USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE gradings.stands AND current.is_evidence

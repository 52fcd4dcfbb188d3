-- Grain: one row per run, round, problem, replicate and slot: whether its current attempt filled it, and whether
-- there could be a message in it.
-- `is_filled` is false where the engine failed; `is_aborted`: its set was decided without it; `may_be_message`: where answers alone are messages, whether there
-- may be one in it.
SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    seed,
    is_evidence,
    is_finished(finish_reason) OR finish_reason = 'aborted' AS is_filled,
    finish_reason = 'aborted' AS is_aborted,
    conclusion_status = 'present'
    OR (
        conclusion_status = 'truncated'
        AND runs.truncated = 'tail'
        AND runs.steps[round] = 'sample'
        AND round < runs.rounds
        AND reasoning_characters + content_characters > 0
    )
    OR (
        conclusion_status <> 'none'
        AND runs.compaction = 'reference'
        AND round < runs.rounds
        AND content_characters > 0
    )
    OR (
        conclusion_status = 'truncated'
        AND runs.bound_tokens[round] IS NOT NULL
        AND thinking_closed IS NULL
        AND content_characters > 0
    ) AS may_be_message
FROM trajectories
JOIN runs USING (run_id)

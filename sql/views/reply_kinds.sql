-- Grain: one row per run, round and kind of current trajectory: how many are alike in what the server and the
-- engine said of them.
-- Few rows whatever the size of a run, so that many rules can be counted over them.
-- `is_generated` is false where nothing was generated; `tokens` is `none` of a length of 0, and `unknown` where nobody
-- counted; `is_bounded` where the round, and not the recipe, says how long a text may be.
SELECT
    current.run_id,
    current.round,
    is_finished(current.finish_reason) AND current.finish_reason <> 'context_overflow' AS is_generated,
    current.finish_reason,
    current.finish_said,
    current.conclusion_status,
    current.usage_source,
    CASE
        WHEN current.completion_tokens IS NULL THEN 'unknown'
        WHEN current.completion_tokens = 0 THEN 'none'
        ELSE 'some'
    END AS tokens,
    current.thinking_closed IS NOT NULL AS is_thinking,
    current.engine,
    current.engine_version,
    current.served_model,
    current.fingerprint,
    current.wire,
    current.max_tokens,
    runs.bound_tokens[current.round] AS bound_tokens,
    runs.bound_tokens[current.round] IS NOT NULL AS is_bounded,
    current.prompt_messages IS NOT NULL AS is_shortened,
    current.reused,
    count(*) AS trajectories
FROM trajectories AS current
JOIN runs USING (run_id)
GROUP BY ALL

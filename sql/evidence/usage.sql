-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- Tokens that a tokenizer counted after the fact are guessed, and those that nobody counted are not known: cost, and
-- accuracy at a cost, rest on them.
SELECT
    run_id,
    'observed' AS part,
    'usage' AS rule,
    1 AS version,
    'the server told the tokens of each trajectory' AS says,
    'usage guessed in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (
        is_generated AND (usage_source <> 'server' OR tokens = 'unknown')
    ), 0)::BIGINT AS lacking,
    coalesce(sum(trajectories) FILTER (is_generated), 0)::BIGINT AS total
FROM runs
LEFT JOIN reply_kinds USING (run_id)
GROUP BY run_id

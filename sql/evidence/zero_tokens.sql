-- Grain: one row per run: how many ended texts lack the evidence, and of how many.
-- A success of no tokens is a response that something else than the model gave.
SELECT
    run_id,
    'observed' AS part,
    'zero_tokens' AS rule,
    1 AS version,
    'no text that ended has a length of 0 tokens' AS says,
    '0 tokens told in' AS lack,
    'ended texts' AS unit,
    0.0::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (tokens = 'none'), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated AND finish_reason = 'stop'
GROUP BY run_id

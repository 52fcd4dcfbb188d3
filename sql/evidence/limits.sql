-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- `pacore retry` gives chosen trajectories another limit: those that were cut are then longer than the others may be.
SELECT
    run_id,
    'observed' AS part,
    'limits' AS rule,
    1 AS version,
    'all trajectories of a round have the limit of its plan' AS says,
    'another limit of tokens in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (max_tokens IS DISTINCT FROM bound_tokens), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated
GROUP BY run_id

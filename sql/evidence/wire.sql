-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- A form other than the usual one was sent to a server that refused the usual one.
SELECT
    run_id,
    'observed' AS part,
    'wire' AS rule,
    1 AS version,
    'requests have one form in all rounds' AS says,
    'another form of request in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    (sum(trajectories) - max(trajectories))::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM (
    SELECT run_id, wire AS value, sum(trajectories) AS trajectories
    FROM reply_kinds
    WHERE is_generated
    GROUP BY ALL
)
GROUP BY run_id

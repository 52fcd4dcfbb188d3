-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- Counted are those that are not of the engine and version that made most, reused ones included; none told is a value,
-- too.
SELECT
    run_id,
    'observed' AS part,
    'server_version' AS rule,
    1 AS version,
    'one engine in one version made all trajectories' AS says,
    'another server version in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    (sum(trajectories) - max(trajectories))::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM (
    SELECT run_id, (engine, engine_version) AS value, sum(trajectories) AS trajectories
    FROM reply_kinds
    WHERE is_generated
    GROUP BY ALL
)
GROUP BY run_id

-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- A name that changes under one endpoint is another model, or another version of it.
SELECT
    run_id,
    'observed' AS part,
    'served_model' AS rule,
    1 AS version,
    'the server named one model in all responses' AS says,
    'another model name in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    (sum(trajectories) - max(trajectories))::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM (
    SELECT run_id, served_model AS value, sum(trajectories) AS trajectories
    FROM reply_kinds
    WHERE is_generated
    GROUP BY ALL
)
GROUP BY run_id

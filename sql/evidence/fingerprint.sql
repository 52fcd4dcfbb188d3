-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- The fingerprint that a server reports changes with its weights and settings.
SELECT
    run_id,
    'observed' AS part,
    'fingerprint' AS rule,
    1 AS version,
    'one fingerprint of the server''s system is on all trajectories' AS says,
    'another fingerprint in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    (sum(trajectories) - max(trajectories))::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM (
    SELECT run_id, fingerprint AS value, sum(trajectories) AS trajectories
    FROM reply_kinds
    WHERE is_generated
    GROUP BY ALL
)
GROUP BY run_id

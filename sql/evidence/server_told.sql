-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- Of a server that reports neither nothing shows whether it changed.
SELECT
    run_id,
    'observed' AS part,
    'server_told' AS rule,
    1 AS version,
    'the server reports its version or a fingerprint' AS says,
    'neither a version nor a fingerprint told in' AS lack,
    'trajectories' AS unit,
    NULL::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (engine_version IS NULL AND fingerprint IS NULL), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated
GROUP BY run_id

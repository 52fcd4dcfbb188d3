-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- A run that finds every trajectory in the store says what earlier runs said, also where its server is gone.
SELECT
    run_id,
    'observed' AS part,
    'reused' AS rule,
    1 AS version,
    'the run has sampled something itself' AS says,
    'nothing sampled by this run: of earlier runs' AS lack,
    'trajectories' AS unit,
    NULL::DOUBLE AS allowed,
    if(bool_and(reused), sum(trajectories), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated
GROUP BY run_id

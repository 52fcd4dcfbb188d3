-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- Each trajectory of a set has a seed of its own, which follows from its draw.
SELECT
    run_id,
    'observed' AS part,
    'seeds' AS rule,
    1 AS version,
    'no two trajectories of a set have one seed' AS says,
    'a seed of another in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    sum(width - seeds)::BIGINT AS lacking,
    sum(width)::BIGINT AS total
FROM message_sets
GROUP BY run_id

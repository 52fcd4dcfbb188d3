-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- That a text was cut is known, and a small model runs to its limit often; where nearly all do, the limit is what was
-- measured. Rounds that are meant to be cut have a bound of their own.
SELECT
    run_id,
    'observed' AS part,
    'runaway' AS rule,
    1 AS version,
    'not all texts are cut at the limit' AS says,
    'cut at the limit:' AS lack,
    'trajectories' AS unit,
    0.75::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (finish_reason = 'length'), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated AND NOT is_bounded
GROUP BY run_id

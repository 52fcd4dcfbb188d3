-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- A model ends some texts before it says anything; a parser or a template that is wrong makes most of them empty.
SELECT
    run_id,
    'observed' AS part,
    'empty' AS rule,
    1 AS version,
    'few texts are empty' AS says,
    'no conclusion in' AS lack,
    'trajectories' AS unit,
    0.25::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (conclusion_status = 'empty'), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated
GROUP BY run_id

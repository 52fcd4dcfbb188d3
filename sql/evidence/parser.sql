-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- A reasoning parser that is switched on or off in the middle of a run leaves thoughts in some texts alone. A model that
-- thinks at will does so in few or in most of them.
SELECT
    run_id,
    'observed' AS part,
    'parser' AS rule,
    1 AS version,
    'thoughts are told apart from conclusions in all texts, or in none' AS says,
    'thoughts not told apart as in the others in' AS lack,
    'trajectories' AS unit,
    0.25::DOUBLE AS allowed,
    least(
        coalesce(sum(trajectories) FILTER (is_thinking), 0)::BIGINT,
        coalesce(sum(trajectories) FILTER (NOT is_thinking), 0)::BIGINT
    ) AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated AND NOT is_bounded AND conclusion_status = 'present'
GROUP BY run_id

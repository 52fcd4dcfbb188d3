-- Grain: one row per run: how many slots lack the evidence, and of how many.
-- A slot may be left with an attempt that the engine ended: nothing was generated in it. A few make sets smaller, and
-- are counted there; many are an outage. Slots that a rule of the plan has aborted are complete.
SELECT
    run_id,
    'complete' AS part,
    'generated' AS rule,
    1 AS version,
    'the engine has filled the slots' AS says,
    'the engine failed in' AS lack,
    'slots' AS unit,
    0.05::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (
        NOT is_finished(finish_reason) AND finish_reason <> 'aborted'
    ), 0)::BIGINT AS lacking,
    coalesce(sum(trajectories), 0)::BIGINT AS total
FROM runs
LEFT JOIN reply_kinds USING (run_id)
GROUP BY run_id

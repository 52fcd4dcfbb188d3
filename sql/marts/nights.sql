-- Grain: one row per night of a job and arm that the gate looks at: its accuracy beside the baseline's, and the
-- decision. A job without arms, and a night that was compared with nothing, has one row a night.
-- Columns:
--   nights.job
--   runs.run_id
--   nights.ended_at
--   nights.decision
--   nights.arm
--   nights.accuracy
--   nights.accuracy_low
--   nights.accuracy_high
--   baseline_accuracy DOUBLE in [0, 1]: The accuracy of the baseline over the problems that both have; null
--     without one, and for a difference of two arms.
--   difference DOUBLE in [-1, 1]: The night's accuracy less that, over the same problems.
--   p DOUBLE in [0, 1]: Chance of a fall at least as great where nothing changed; one-sided.
--   window_difference DOUBLE in [-1, 1]: The same of the last nights pooled; null on the first night.
--   window_p DOUBLE in [0, 1]: Its chance.
--   nights.detectable
--   nights.marginal_tokens
--   nights.stopped_by
--   alarms BIGINT: Tests of the night and arm that were rejected.
--   flaky_problems BIGINT: Problems that turned between right and wrong over the last nights.
SELECT
    job,
    run_id,
    ended_at,
    decision,
    arm,
    accuracy,
    accuracy_low,
    accuracy_high,
    max(baseline) FILTER (
        measure = 'accuracy' AND nights = 1 AND NOT coalesce(contains(arm, ' vs '), false)
    ) AS baseline_accuracy,
    max(value - baseline) FILTER (measure = 'accuracy' AND nights = 1) AS difference,
    max(p) FILTER (measure = 'accuracy' AND nights = 1) AS p,
    max(value - baseline) FILTER (measure = 'accuracy' AND nights > 1) AS window_difference,
    max(p) FILTER (measure = 'accuracy' AND nights > 1) AS window_p,
    detectable,
    marginal_tokens,
    stopped_by,
    count(*) FILTER (is_alarm) AS alarms,
    len(any_value(flaky)) AS flaky_problems
FROM nights
GROUP BY ALL
ORDER BY job, run_id, arm NULLS FIRST

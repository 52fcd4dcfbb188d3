-- Grain: one row per run, round, number of messages seen and number of right ones among them, of a graded
-- run: how the outcome follows from what was seen.
-- Episodes as in `mart_emergence`.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   seen BIGINT: Messages in the prompt.
--   right_seen BIGINT: Right ones among them.
--   message_accuracy DOUBLE in [0, 1]: `right_seen` of `seen`.
--   episodes BIGINT: Episodes that saw so many.
--   problems BIGINT: Problems that these are of.
--   correct DOUBLE in [0, 1]: Share of the episodes whose trajectory is right.
SELECT
    run_id,
    round,
    any_value(step) AS step,
    seen,
    right_seen,
    right_seen / nullif(seen, 0) AS message_accuracy,
    count(*) AS episodes,
    count(DISTINCT problem_id) AS problems,
    avg(is_right::INTEGER) AS correct
FROM episodes
WHERE is_decided
GROUP BY run_id, round, seen, right_seen
ORDER BY run_id, round, seen, right_seen

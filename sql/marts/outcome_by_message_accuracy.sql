-- Grain: one row per run, round, number of messages seen and number of right ones among them, of a graded
-- run: how the outcome follows from what was seen. Episodes as in `mart_emergence`.
-- `step` is what the round does. `message_accuracy`: `right_seen` of `seen`. `correct`: share of the
-- `episodes`, from `problems` problems, whose trajectory is right.
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

-- Grain: one row per run and round from 2 on of a graded run: whether a round finds what no message it saw
-- had (Figure 5).
-- Episodes are trajectories with the messages in their prompts; see `episodes`. A message without an answer is
-- wrong. Both rates are ratios of sums over problems.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   episodes BIGINT: Episodes all of whose parts have a score.
--   undecided BIGINT: The others, which are in no other column.
--   all_wrong BIGINT: Episodes that saw no right message.
--   all_wrong_problems BIGINT: Problems that these are of.
--   emergent_rate DOUBLE in [0, 1]: Share of `all_wrong` whose trajectory is right.
--   some_right BIGINT: Episodes that saw at least one right message.
--   some_right_problems BIGINT: Problems that these are of.
--   base_rate DOUBLE in [0, 1]: Share of `some_right` whose trajectory is right.
SELECT
    run_id,
    round,
    any_value(step) AS step,
    count(*) FILTER (is_decided) AS episodes,
    count(*) FILTER (NOT is_decided) AS undecided,
    count(*) FILTER (is_decided AND right_seen = 0) AS all_wrong,
    count(DISTINCT problem_id) FILTER (is_decided AND right_seen = 0) AS all_wrong_problems,
    avg(is_right::INTEGER) FILTER (is_decided AND right_seen = 0) AS emergent_rate,
    count(*) FILTER (is_decided AND right_seen > 0) AS some_right,
    count(DISTINCT problem_id) FILTER (is_decided AND right_seen > 0) AS some_right_problems,
    avg(is_right::INTEGER) FILTER (is_decided AND right_seen > 0) AS base_rate
FROM episodes
GROUP BY run_id, round
ORDER BY run_id, round

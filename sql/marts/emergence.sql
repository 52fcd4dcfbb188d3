-- Grain: one row per run and round from 2 on of a graded run: whether a round finds what no message it saw
-- had (Figure 5). Episodes are trajectories with the messages in their prompts; see `episodes`.
-- `step` is what the round does. `episodes` all of whose parts have a score; `undecided` others, which are
-- in no other column. `all_wrong`: episodes that saw no right message, from `all_wrong_problems` problems;
-- `emergent_rate`: P(correct | every message seen is wrong), the right ones over `all_wrong`, a ratio of sums
-- over problems. `some_right`, `some_right_problems` and `base_rate` are the same of episodes that saw at
-- least one right message. A message without an answer is wrong.
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

-- Grain: one row per run and round from 2 on of a graded run: what a round adds to a vote of the messages it
-- saw, and what it loses. Episodes as in `mart_emergence`; a leader is an answer that most messages give.
-- `step` is what the round does. Each kind of episode comes with its number and its problems:
-- `minority_right`, where some message is right and no leader is: `rescued` is the share of right outcomes;
-- `majority_right`, where every leader is right: `lost` is the share of wrong outcomes, `lost_unanswered` of
-- those that give no answer, which are among them: a cut thought has lost the majority, but not to another;
-- `tied`, where of several leaders some are right and some wrong: `tied_correct` is the share of right ones;
-- `none_right`, where no message is right: `emergent` is the share of right ones, `emergent_rate` there.
SELECT
    run_id,
    round,
    any_value(step) AS step,
    count(*) AS episodes,
    count(*) FILTER (majority = 'wrong') AS minority_right,
    count(DISTINCT problem_id) FILTER (majority = 'wrong') AS minority_right_problems,
    avg(is_right::INTEGER) FILTER (majority = 'wrong') AS rescued,
    count(*) FILTER (majority = 'right') AS majority_right,
    count(DISTINCT problem_id) FILTER (majority = 'right') AS majority_right_problems,
    avg((NOT is_right)::INTEGER) FILTER (majority = 'right') AS lost,
    avg((answer_key IS NULL)::INTEGER) FILTER (majority = 'right') AS lost_unanswered,
    count(*) FILTER (majority = 'tied') AS tied,
    count(DISTINCT problem_id) FILTER (majority = 'tied') AS tied_problems,
    avg(is_right::INTEGER) FILTER (majority = 'tied') AS tied_correct,
    count(*) FILTER (majority = 'none_right') AS none_right,
    count(DISTINCT problem_id) FILTER (majority = 'none_right') AS none_right_problems,
    avg(is_right::INTEGER) FILTER (majority = 'none_right') AS emergent
FROM episodes
WHERE is_decided
GROUP BY run_id, round
ORDER BY run_id, round

-- Grain: one row per run and round from 2 on of a graded run: what a round adds to a vote of the messages it
-- saw, and what it loses.
-- Episodes as in `mart_emergence`; a leader is an answer that most messages give.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   mart_emergence.episodes
--   minority_right BIGINT: Episodes in which some message is right and no leader is.
--   minority_right_problems BIGINT: Problems that these are of.
--   rescued DOUBLE in [0, 1]: Share of these whose trajectory is right.
--   majority_right BIGINT: Episodes in which every leader is right.
--   majority_right_problems BIGINT: Problems that these are of.
--   lost DOUBLE in [0, 1]: Share of these whose trajectory is wrong.
--   lost_unanswered DOUBLE in [0, 1]: Share of these whose trajectory gives no answer, which are among the lost.
--   tied BIGINT: Episodes in which of several leaders some are right and some wrong.
--   tied_problems BIGINT: Problems that these are of.
--   tied_correct DOUBLE in [0, 1]: Share of these whose trajectory is right.
--   none_right BIGINT: Episodes in which no message is right.
--   none_right_problems BIGINT: Problems that these are of.
--   emergent DOUBLE in [0, 1]: Share of these whose trajectory is right, `emergent_rate` of `mart_emergence`.
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

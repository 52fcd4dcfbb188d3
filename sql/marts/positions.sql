-- Grain: one row per run, round from 2 on and number of a reference in the prompt, of a graded run: whether
-- the position of a message matters.
-- Episodes as in `mart_emergence`, of those whose messages give more than one answer and whose trajectory gives
-- one. Where order does not matter `copied` follows `accuracy`, not the number.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   reference INTEGER: Number of the message in the prompt, from 1.
--   episodes BIGINT: Episodes that have a reference of this number.
--   problems BIGINT: Problems that these are of.
--   copied DOUBLE in [0, 1]: Share of them whose answer is that of this reference.
--   accuracy DOUBLE in [0, 1]: Share in which this reference is right.
--   right_episodes BIGINT: Episodes whose trajectory is right.
--   right_when_correct DOUBLE in [0, 1]: Share of these in which this reference is right too.
SELECT
    run_id,
    round,
    any_value(episodes.step) AS step,
    seen_answers.reference,
    count(*) AS episodes,
    count(DISTINCT problem_id) AS problems,
    avg(coalesce(seen_answers.answer_key = episodes.answer_key, false)::INTEGER) AS copied,
    avg(seen_answers.is_right::INTEGER) AS accuracy,
    count(*) FILTER (episodes.is_right) AS right_episodes,
    avg(seen_answers.is_right::INTEGER) FILTER (episodes.is_right) AS right_when_correct
FROM seen_answers
JOIN episodes USING (run_id, round, problem_id, replicate, slot)
WHERE episodes.is_decided AND episodes.answers > 1 AND episodes.answer_key IS NOT NULL
GROUP BY run_id, round, seen_answers.reference
ORDER BY run_id, round, seen_answers.reference

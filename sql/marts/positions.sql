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
WITH placed AS (
    SELECT
        run_id,
        round,
        problem_id,
        step,
        answer_key AS output_key,
        is_right AS is_output_right,
        unnest("references", recursive := true)
    FROM episodes
    WHERE is_decided AND answers > 1 AND answer_key IS NOT NULL
)

SELECT
    run_id,
    round,
    any_value(step) AS step,
    reference,
    count(*) AS episodes,
    count(DISTINCT problem_id) AS problems,
    avg(coalesce(answer_key = output_key, false)::INTEGER) AS copied,
    avg(is_right::INTEGER) AS accuracy,
    count(*) FILTER (is_output_right) AS right_episodes,
    avg(is_right::INTEGER) FILTER (is_output_right) AS right_when_correct
FROM placed
GROUP BY run_id, round, reference
ORDER BY run_id, round, reference

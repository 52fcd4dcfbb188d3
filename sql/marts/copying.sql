-- Grain: one row per run and round from 2 on of a graded run: whether an answer was taken from the messages.
-- Episodes as in `mart_emergence`; answers are the same where they are equivalent (`answer_key`). All shares are
-- of the `answered` episodes, but for `copied_majority`.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   mart_emergence.episodes
--   answered BIGINT: Episodes whose trajectory gives an answer.
--   problems BIGINT: Problems that these are of.
--   copied DOUBLE in [0, 1]: Share whose answer is that of a message seen.
--   copied_first DOUBLE in [0, 1]: Share whose answer is that of the first reference.
--   with_majority BIGINT: Answered episodes in which one answer leads and no two are tied.
--   copied_majority DOUBLE in [0, 1]: Share of these whose answer is the leading one.
--   novel DOUBLE in [0, 1]: Share whose answer is that of no message seen.
--   copied_accuracy DOUBLE in [0, 1]: Share right of the copied ones.
--   novel_accuracy DOUBLE in [0, 1]: Share right of the novel ones.
SELECT
    run_id,
    round,
    any_value(step) AS step,
    count(*) AS episodes,
    count(answer_key) AS answered,
    count(DISTINCT problem_id) FILTER (answer_key IS NOT NULL) AS problems,
    avg(is_copy::INTEGER) AS copied,
    avg(coalesce(answer_key = first_key, false)::INTEGER) FILTER (answer_key IS NOT NULL)
        AS copied_first,
    count(*) FILTER (answer_key IS NOT NULL AND leaders = 1) AS with_majority,
    avg((answer_key = leader_key)::INTEGER) FILTER (answer_key IS NOT NULL AND leaders = 1)
        AS copied_majority,
    avg((NOT is_copy)::INTEGER) AS novel,
    avg(is_right::INTEGER) FILTER (is_copy) AS copied_accuracy,
    avg(is_right::INTEGER) FILTER (NOT is_copy) AS novel_accuracy
FROM episodes
WHERE is_decided
GROUP BY run_id, round
ORDER BY run_id, round

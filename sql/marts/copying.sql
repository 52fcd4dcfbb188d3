-- Grain: one row per run and round from 2 on of a graded run: whether an answer was taken from the messages.
-- Episodes as in `mart_emergence`; answers are the same where they are equivalent (`answer_key`).
-- `step` is what the round does. `answered` counts episodes whose trajectory gives an answer, from `problems`
-- problems; all shares are of these. `copied`: it is the answer of a message seen; `copied_first`: of the first
-- reference; `copied_majority`: of the one answer that most messages give, among the `with_majority` episodes
-- in which no two are tied; `novel`: of no message seen. `copied_accuracy`, `novel_accuracy`: share right of
-- the copied and of the novel ones.
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

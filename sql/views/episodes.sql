-- Grain: one row per run, round, problem, replicate and slot that saw messages, of graded runs: one step
-- from messages to a trajectory, which training takes as an episode (section 2.2).
-- `step` is what the round does (`sample`, `condense`, `distill`). `is_decided`: whether the trajectory and
-- every message it saw have a score; measures are over those episodes alone. `seen` counts its messages,
-- `right_seen` the right ones, `answers` their different answers, `leaders` those of them that most messages
-- give (a message without an answer gives none).
-- `majority`: `none_right` where no message is right; else, by the leaders, `right` where each is right,
-- `wrong` where none is, `tied` where some are. `leader_key` is the leader, null where several are tied;
-- `is_copy`: whether the trajectory's answer is that of a message it saw, null where it gives no answer;
-- `first_key` the answer of its first reference.
WITH seen AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        count(*) AS seen,
        count(*) FILTER (is_right) AS right_seen,
        count(is_right) = count(*) AND any_value(is_output_right) IS NOT NULL AS is_decided,
        any_value(is_output_right) AS is_right,
        any_value(output_key) AS answer_key,
        count(DISTINCT answer_key) AS answers,
        max(answer_key) FILTER (reference = 1) AS first_key,
        coalesce(bool_or(answer_key = output_key), false) AS is_among
    FROM seen_answers
    GROUP BY run_id, round, problem_id, replicate, slot
),

votes AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        answer_key,
        count(*) AS votes,
        2 * count(*) FILTER (is_right) > count(*) AS is_right
    FROM seen_answers
    WHERE answer_key IS NOT NULL
    GROUP BY run_id, round, problem_id, replicate, slot, answer_key
),

firsts AS (
    SELECT *
    FROM votes
    QUALIFY votes = max(votes) OVER (PARTITION BY run_id, round, problem_id, replicate, slot)
),

elected AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        count(*) AS leaders,
        count(*) FILTER (is_right) AS right_leaders,
        if(count(*) = 1, max(answer_key), NULL) AS leader_key
    FROM firsts
    GROUP BY run_id, round, problem_id, replicate, slot
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    runs.steps[round] AS step,
    seen.is_decided,
    seen.is_right,
    seen.answer_key,
    seen.seen,
    seen.right_seen,
    seen.answers,
    coalesce(elected.leaders, 0) AS leaders,
    CASE
        WHEN seen.right_seen = 0 THEN 'none_right'
        WHEN elected.right_leaders = elected.leaders THEN 'right'
        WHEN elected.right_leaders > 0 THEN 'tied'
        ELSE 'wrong'
    END AS majority,
    elected.leader_key,
    seen.first_key,
    if(seen.answer_key IS NULL, NULL, seen.is_among) AS is_copy
FROM seen
JOIN runs USING (run_id)
LEFT JOIN elected USING (run_id, round, problem_id, replicate, slot)

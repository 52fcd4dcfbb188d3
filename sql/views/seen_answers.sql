-- Grain: one row per run, round, problem, replicate and slot that saw messages, as in `seen_messages`, of graded
-- runs: its answer, and those of the messages it saw.
-- A message is judged by the trajectory it was made of, a summary or workspace by the one that wrote it.
-- `is_right`: whether the verdict is `correct`; null where there is none, or grading ended by timeout or crash.
-- An answer that is missing is not right. `answer_key`: class of the answer, null where there is none.
-- `seen`: how many messages it saw; `right_seen`, `judged_seen`: how many of them are right, have a score;
-- `answers`: their different answers, `leaders` those of them that most messages give, of which `right_leaders`
-- are right; `leader_key`: the leader, null where several are tied; `first_key`: the answer of the first reference;
-- `keys`: all answers. `references`: of each message its number in the prompt, `answer_key` and `is_right`.
-- Slots of a set that saw the same messages are counted together: a view is one run, round, problem and
-- replicate and what of M was shown. Views are numbered within this file alone.
WITH judged AS MATERIALIZED (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        trajectory_id,
        if(score IS NULL, NULL, verdict = 'correct') AS is_right,
        answer_key,
        prompt_positions,
        prompt_messages,
        finish_reason IN ('stop', 'length') AS is_reader
    FROM standing_verdicts
    SEMI JOIN graded_runs USING (run_id)
),

readers AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        prompt_positions,
        prompt_messages,
        list({'slot': slot, 'answer_key': answer_key, 'is_right': is_right}) AS slots,
        row_number() OVER () AS view
    FROM judged
    WHERE round > 1 AND is_reader
    GROUP BY run_id, round, problem_id, replicate, prompt_positions, prompt_messages
),

shown AS (
    SELECT
        readers.view,
        CASE
            WHEN readers.prompt_positions IS NULL THEN messages.position
            ELSE list_position(readers.prompt_positions, messages.position)
        END AS reference,
        made.is_right,
        made.answer_key
    FROM messages
    JOIN readers
        ON readers.run_id = messages.run_id
        AND readers.round = messages.round + 1
        AND readers.problem_id = messages.problem_id
        AND readers.replicate = messages.replicate
    LEFT JOIN judged AS made
        ON made.run_id = messages.run_id
        AND made.round = messages.round
        AND made.problem_id = messages.problem_id
        AND made.replicate = messages.replicate
        AND made.trajectory_id = messages.trajectory_id
    WHERE
        CASE
            WHEN readers.prompt_positions IS NULL
                THEN messages.position <= coalesce(readers.prompt_messages, messages.position)
            ELSE list_contains(readers.prompt_positions, messages.position)
        END
),

votes AS (
    SELECT
        view,
        answer_key,
        count(*) AS votes,
        count(*) FILTER (is_right) AS right_votes,
        count(is_right) AS judged,
        min(reference) AS first_reference,
        list({'reference': reference, 'answer_key': answer_key, 'is_right': is_right}) AS given
    FROM shown
    GROUP BY view, answer_key
),

tops AS (
    SELECT view, max(votes) FILTER (answer_key IS NOT NULL) AS top
    FROM votes
    GROUP BY view
),

views AS (
    SELECT
        view,
        sum(votes)::BIGINT AS seen,
        sum(right_votes)::BIGINT AS right_seen,
        sum(judged)::BIGINT AS judged_seen,
        count(answer_key) AS answers,
        count(*) FILTER (answer_key IS NOT NULL AND votes = top) AS leaders,
        count(*) FILTER (answer_key IS NOT NULL AND votes = top AND 2 * right_votes > votes)
            AS right_leaders,
        max(answer_key) FILTER (votes = top) AS top_key,
        max(answer_key) FILTER (first_reference = 1) AS first_key,
        list_sort(list(answer_key) FILTER (answer_key IS NOT NULL)) AS keys,
        list_sort(flatten(list(given))) AS "references"
    FROM votes
    JOIN tops USING (view)
    GROUP BY view
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    unnest(slots, recursive := true),
    views.seen,
    views.right_seen,
    views.judged_seen,
    views.answers,
    views.leaders,
    views.right_leaders,
    if(views.leaders = 1, views.top_key, NULL) AS leader_key,
    views.first_key,
    views.keys,
    views."references"
FROM readers
JOIN views USING (view)

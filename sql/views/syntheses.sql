-- Grain: one row per run, round, problem, replicate and slot that attempted a problem with messages in its prompt,
-- wherever these are from: its own run (`episodes`), or another run from which its problem was derived, for a
-- training set or by an intervention.
-- `of_problem_id`: the problem that was attempted, in the run that the messages are from, `message_run_id`.
-- `seen` messages were in the prompt, of which `right_seen` are right; `is_decided`: whether the trajectory has a
-- score, and each message where they are its own run's. `is_right`: whether its answer is right.
WITH derived AS (
    SELECT
        run_id,
        problem_id,
        coalesce(json_extract(metadata, '$.synthesis'), json_extract(metadata, '$.intervention'))
            AS made_of
    FROM problems
    WHERE metadata LIKE '%"synthesis":{%' OR metadata LIKE '%"intervention":{%'
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    problem_id AS of_problem_id,
    run_id AS message_run_id,
    seen,
    right_seen,
    is_decided,
    is_right
FROM episodes
WHERE step = 'sample'
UNION ALL
SELECT
    given.run_id,
    given.round,
    given.problem_id,
    given.replicate,
    given.slot,
    json_extract_string(made_of, '$.problem_id') AS of_problem_id,
    json_extract_string(made_of, '$.run_id') AS message_run_id,
    if(
        json_type(made_of, '$.messages') = 'ARRAY',
        json_array_length(made_of, '$.messages'),
        (json_extract_string(made_of, '$.messages'))::INTEGER
    ) AS seen,
    (json_extract_string(made_of, '$.right'))::INTEGER AS right_seen,
    given.score IS NOT NULL AS is_decided,
    given.verdict = 'correct' AS is_right
FROM standing_verdicts AS given
JOIN derived USING (run_id, problem_id)
WHERE given.round = 1

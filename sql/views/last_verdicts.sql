-- Grain: one row per run, problem and replicate whose answer was compared with a gold answer, whether it may be
-- scored or not: columns as in `scores`, which has those that may.
-- `answer_key` is the class of the answer, `completion_tokens` are those of the last trajectory: both null
-- where the replicate did not reach the last round, unless its messages agreed before it: then the trajectory is that
-- whose message has the answer, which the run itself grades without its name.
WITH of_agreed AS (
    SELECT verdicts.*, verdicts.answer_key AS last_key
    FROM verdicts
    JOIN agreed USING (run_id, round, problem_id, replicate, trajectory_id)
)

SELECT
    run_id,
    problem_id,
    replicate,
    given.grading,
    given.grader,
    given.verdict,
    given.score,
    coalesce(own.gold_answer, problems.gold) AS gold,
    given.answer,
    coalesce(given.trajectory_id, agreed.trajectory_id) AS trajectory_id,
    given.grader_version,
    given.last_key AS answer_key,
    given.completion_tokens
FROM (
    SELECT verdicts.*, verdicts.answer_key AS last_key
    FROM verdicts
    JOIN runs USING (run_id)
    WHERE verdicts.round = runs.rounds AND verdicts.round >= getvariable('fewest_rounds')
    UNION ALL BY NAME
    SELECT * FROM of_agreed
    UNION ALL BY NAME
    SELECT own.*, if(own.answer IS NULL, NULL, own.answer_key) AS last_key
    FROM own_verdicts AS own
    ANTI JOIN of_agreed USING (run_id, problem_id, replicate)
    WHERE own.trajectory_id IS NULL
) AS given
LEFT JOIN agreed USING (run_id, problem_id, replicate)
LEFT JOIN own_verdicts AS own USING (run_id, problem_id, replicate)
LEFT JOIN problems USING (run_id, problem_id)

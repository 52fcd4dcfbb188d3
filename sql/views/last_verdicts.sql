-- Grain: one row per run, problem and replicate whose answer was compared with a gold answer, whether it may be
-- scored or not: columns as in `scores`, which has those that may.
-- `answer_key` is the class of the answer, `completion_tokens` are those of the last trajectory: both null
-- where the replicate did not reach the last round.
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
    given.trajectory_id,
    given.grader_version,
    given.last_key AS answer_key,
    given.completion_tokens
FROM (
    SELECT verdicts.*, verdicts.answer_key AS last_key
    FROM verdicts
    JOIN runs USING (run_id)
    WHERE verdicts.round = runs.rounds AND verdicts.round >= getvariable('fewest_rounds')
    UNION ALL BY NAME
    SELECT * FROM own_verdicts WHERE trajectory_id IS NULL
) AS given
LEFT JOIN own_verdicts AS own USING (run_id, problem_id, replicate)
LEFT JOIN problems USING (run_id, problem_id)

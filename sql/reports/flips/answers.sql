-- Grain: one row per problem and replicate that runs $before and $after both answered, where their
-- current scores differ. Problems are the same where their content is.
SELECT
    problems_before.problem_id AS problem,
    before.replicate,
    before.verdict AS before,
    after.verdict AS after,
    before.score AS before_score,
    after.score AS after_score,
    left(before.answer, 500) AS before_answer,
    left(after.answer, 500) AS after_answer,
    left(problems_before.gold, 500) AS gold
FROM scores AS before
JOIN problems AS problems_before USING (run_id, problem_id)
JOIN problems AS problems_after
    ON problems_after.run_id = $after
    AND problems_after.problem_id = problems_before.problem_id
    AND problems_after.content_digest = problems_before.content_digest
JOIN scores AS after
    ON after.run_id = $after
    AND after.problem_id = problems_before.problem_id
    AND after.replicate = before.replicate
WHERE
    before.run_id = $before
    AND (before.verdict <> after.verdict OR before.score IS DISTINCT FROM after.score)
ORDER BY problem, before.replicate
LIMIT $rows

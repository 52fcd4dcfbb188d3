-- Grain: one row per run: how many answers lack the evidence, and of how many.
-- An answer to a problem with a gold answer has a verdict; what is for a judge has one once a judge was asked.
SELECT
    run_id,
    'complete' AS part,
    'verdicts' AS rule,
    1 AS version,
    'every answer with a gold answer has a verdict' AS says,
    'no verdict on' AS lack,
    'answers' AS unit,
    0.0::DOUBLE AS allowed,
    count(*) FILTER (given.run_id IS NULL) AS lacking,
    count(*) AS total
FROM outcomes
JOIN problems USING (run_id, problem_id)
LEFT JOIN scores AS given USING (run_id, problem_id, replicate)
JOIN runs USING (run_id)
WHERE
    outcomes.is_evidence
    AND runs.finished_at IS NOT NULL
    AND problems.gold IS NOT NULL
    AND NOT coalesce(starts_with(problems.grader, 'judge'), false)
GROUP BY run_id

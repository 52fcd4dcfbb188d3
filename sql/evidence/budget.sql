-- Grain: one row per run: how many problems lack the evidence, and of how many.
-- A run that its budget stopped, and that nobody has finished since, has problems without all their answers.
SELECT
    run_id,
    'complete' AS part,
    'budget' AS rule,
    1 AS version,
    'no budget stopped the run before its end' AS says,
    'budget: not finished' AS lack,
    'problems' AS unit,
    0.0::DOUBLE AS allowed,
    count(DISTINCT outcomes.problem_id) FILTER (
        outcomes.outcome = 'pending' AND runs.status = 'incomplete: budget'
    ) AS lacking,
    any_value(runs.problems) AS total
FROM runs
LEFT JOIN outcomes USING (run_id)
GROUP BY run_id

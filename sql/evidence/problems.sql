-- Grain: one row per run: how many problems lack the evidence, and of how many.
-- The frozen problem set has as many problems as the run was planned with.
SELECT
    run_id,
    'complete' AS part,
    'problems' AS rule,
    1 AS version,
    'every problem of the set is in the store' AS says,
    'no row of' AS lack,
    'problems' AS unit,
    0.0::DOUBLE AS allowed,
    greatest(0, any_value(runs.problems) - count(problems.problem_id)) AS lacking,
    any_value(runs.problems) AS total
FROM runs
LEFT JOIN problems USING (run_id)
GROUP BY run_id

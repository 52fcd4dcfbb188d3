-- A closed run has exactly one answer row for every problem and replicate, and an open one has none
-- twice.
WITH expected AS (
    SELECT problems.run_id, problems.problem_id, numbers.replicate, runs.finished_at IS NOT NULL AS closed
    FROM problems
    JOIN runs USING (run_id)
    CROSS JOIN unnest(range(runs.replicates)) AS numbers (replicate)
),

found AS (
    SELECT run_id, problem_id, replicate, count(*) AS rows
    FROM answers
    GROUP BY run_id, problem_id, replicate
)

SELECT run_id, problem_id, replicate, coalesce(found.rows, 0) AS rows
FROM expected
FULL JOIN found USING (run_id, problem_id, replicate)
WHERE
    expected.problem_id IS NULL
    OR found.rows > 1
    OR (expected.closed AND found.rows IS NULL)

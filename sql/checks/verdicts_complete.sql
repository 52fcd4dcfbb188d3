-- A finished grading against the gold has one verdict on every current trajectory that was finished
-- and whose problem has a gold answer, and none on anything else; `auto` needs no judge. That of the run itself
-- is of the last round, and finished when the run is closed.
WITH ended AS (
    SELECT run_id, grading, grader, if(sequence = 0, runs.rounds, 1) AS first_round
    FROM gradings
    JOIN runs USING (run_id)
    WHERE
        against = 'gold'
        AND gradings.finished_at IS NOT NULL
        AND (sequence > 0 OR runs.finished_at IS NOT NULL)
),

expected AS (
    SELECT
        run_id,
        ended.grading,
        standing.round,
        problem_id,
        standing.replicate,
        standing.slot,
        standing.trajectory_id
    FROM ended
    JOIN trajectories AS standing USING (run_id)
    JOIN problems USING (run_id, problem_id)
    WHERE
        standing.round >= ended.first_round
        AND problems.gold IS NOT NULL
        AND NOT (ended.grader = 'auto' AND coalesce(starts_with(problems.grader, 'judge'), false))
        AND is_finished(standing.finish_reason)
),

found AS (
    SELECT run_id, grading, round, problem_id, replicate, slot, trajectory_id, count(*) AS rows
    FROM all_verdicts
    JOIN ended USING (run_id, grading)
    GROUP BY ALL
)

SELECT
    run_id,
    grading,
    round,
    problem_id,
    replicate,
    slot,
    trajectory_id,
    expected.run_id IS NOT NULL AS is_expected,
    coalesce(found.rows, 0) AS rows
FROM expected
FULL JOIN found USING (run_id, grading, round, problem_id, replicate, slot, trajectory_id)
WHERE expected.run_id IS NULL OR found.rows IS DISTINCT FROM 1

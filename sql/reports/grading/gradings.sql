-- Grain: one row per finished grading of run $run_id against the gold answers, the run's own first.
-- `accuracy`: mean over problems of the mean over a problem's scored replicates (pass@1), each answer by
-- that grading, or by the run itself where there is no trajectory to be graded. `scored` of the `planned`
-- answers; those missing for a reason that is not the model's are not among them (`outcomes`).
WITH given AS (
    SELECT
        gradings.grading,
        had.problem_id,
        if(later.verdict IS NULL, own.score, later.score) AS score
    FROM outcomes AS had
    JOIN runs USING (run_id)
    JOIN gradings USING (run_id)
    LEFT JOIN own_verdicts AS own
        ON own.run_id = had.run_id
        AND own.problem_id = had.problem_id
        AND own.replicate = had.replicate
    LEFT JOIN agreed
        ON agreed.run_id = had.run_id
        AND agreed.problem_id = had.problem_id
        AND agreed.replicate = had.replicate
    LEFT JOIN trajectories AS final
        ON final.run_id = had.run_id
        AND final.round = coalesce(agreed.round, runs.rounds)
        AND final.problem_id = had.problem_id
        AND final.replicate = had.replicate
        AND final.trajectory_id = coalesce(agreed.trajectory_id, final.trajectory_id)
    LEFT JOIN all_verdicts AS later
        ON later.run_id = had.run_id
        AND later.grading = gradings.grading
        AND later.round = final.round
        AND later.problem_id = had.problem_id
        AND later.replicate = had.replicate
        AND later.trajectory_id = final.trajectory_id
    WHERE had.run_id = $run_id AND had.is_evidence
),

by_problem AS (
    SELECT grading, problem_id, avg(score) AS accuracy, count(score) AS scored
    FROM given
    GROUP BY grading, problem_id
),

by_grading AS (
    SELECT grading, avg(accuracy) AS accuracy, sum(scored)::BIGINT AS scored
    FROM by_problem
    GROUP BY grading
)

SELECT
    gradings.sequence,
    gradings.grading,
    gradings.grader,
    gradings.grader_version,
    gradings.stands,
    by_grading.accuracy,
    coalesce(by_grading.scored, 0) AS scored,
    runs.problems * runs.replicates AS planned
FROM gradings
JOIN runs USING (run_id)
LEFT JOIN by_grading USING (grading)
WHERE
    gradings.run_id = $run_id
    AND gradings.against = 'gold'
    AND gradings.finished_at IS NOT NULL
ORDER BY gradings.sequence

-- Grain: one row per finished grading of run $run_id against the gold answers, the run's own first.
-- `score`: mean over problems of the mean over a problem's scored replicates (pass@1), each answer by
-- that grading, or by the run itself where there is no trajectory to be graded.
WITH given AS (
    SELECT
        gradings.grading,
        own.problem_id,
        if(later.verdict IS NULL, own.score, later.score) AS score
    FROM own_scores AS own
    JOIN gradings USING (run_id)
    LEFT JOIN verdicts AS later
        ON later.run_id = own.run_id
        AND later.grading = gradings.grading
        AND later.round = own.round
        AND later.problem_id = own.problem_id
        AND later.replicate = own.replicate
        AND later.trajectory_id = own.trajectory_id
    WHERE own.run_id = $run_id
),

by_problem AS (
    SELECT grading, problem_id, avg(score) AS score, count(*) AS answers, count(score) AS scored
    FROM given
    GROUP BY grading, problem_id
),

by_grading AS (
    SELECT
        grading,
        avg(score) AS score,
        sum(answers)::BIGINT AS answers,
        sum(scored)::BIGINT AS scored
    FROM by_problem
    GROUP BY grading
)

SELECT
    gradings.sequence,
    gradings.grading,
    gradings.grader,
    gradings.grader_version,
    gradings.stands,
    by_grading.score,
    by_grading.scored,
    by_grading.answers
FROM gradings
LEFT JOIN by_grading USING (grading)
WHERE
    gradings.run_id = $run_id
    AND gradings.against = 'gold'
    AND gradings.finished_at IS NOT NULL
ORDER BY gradings.sequence

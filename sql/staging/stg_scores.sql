-- Grain: one row per run, problem and replicate whose problem has a gold answer: the verdict on its
-- answer by the grading that stands, or by the run itself where that has not seen its trajectory.
SELECT
    own.run_id,
    own.problem_id,
    own.replicate,
    coalesce(later.grading, 'run') AS grading,
    coalesce(later.grader, own.grader) AS grader,
    coalesce(later.verdict, own.verdict) AS verdict,
    if(later.grading IS NULL, own.score, later.score) AS score,
    own.gold,
    if(later.grading IS NULL, own.answer, later.answer) AS answer,
    own.trajectory_id,
    coalesce(later.grader_version, own.grader_version) AS grader_version
FROM own_scores AS own
LEFT JOIN (
    SELECT verdicts.*
    FROM verdicts
    JOIN gradings USING (run_id, grading)
    WHERE gradings.stands AND gradings.sequence > 0
) AS later
    ON later.run_id = own.run_id
    AND later.round = own.round
    AND later.problem_id = own.problem_id
    AND later.replicate = own.replicate
    AND later.trajectory_id = own.trajectory_id

-- Grain: one row per run, problem and replicate whose answer was held against a gold answer: the
-- verdict on it by the grading that stands, or by the run itself where that has not seen its
-- trajectory. A run grades no answer that is for a judge.
SELECT
    run_id,
    problem_id,
    replicate,
    coalesce(later.grading, 'run') AS grading,
    coalesce(later.grader, own.grader) AS grader,
    coalesce(later.verdict, own.verdict) AS verdict,
    if(later.grading IS NULL, own.score, later.score) AS score,
    coalesce(own.gold, problems.gold) AS gold,
    if(later.grading IS NULL, own.answer, later.answer) AS answer,
    trajectory_id,
    coalesce(later.grader_version, own.grader_version) AS grader_version
FROM own_scores AS own
FULL JOIN (
    SELECT verdicts.*
    FROM verdicts
    JOIN gradings USING (run_id, grading)
    JOIN runs USING (run_id)
    WHERE gradings.stands AND gradings.sequence > 0 AND verdicts.round = runs.rounds
) AS later
    USING (run_id, problem_id, replicate, trajectory_id)
LEFT JOIN problems USING (run_id, problem_id)

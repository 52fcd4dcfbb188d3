-- Grain: one row per run, problem and replicate whose answer was compared with a gold answer: the current
-- verdict on it, of the grading whose verdicts count, or of the run itself where that has not seen its
-- trajectory. A run grades no answer that is for a judge.
-- An answer that the model gave none of scores 0; one that something else kept it from giving has no row here
-- (`outcomes`).
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
    JOIN runs USING (run_id)
    WHERE verdicts.grading <> 'run' AND verdicts.round = runs.rounds
) AS later
    USING (run_id, problem_id, replicate, trajectory_id)
SEMI JOIN (SELECT * FROM outcomes WHERE is_evidence) AS given
    USING (run_id, problem_id, replicate)
LEFT JOIN problems USING (run_id, problem_id)

-- Grain: one row per round of run $run_id: the verdicts of grading $grading on its current trajectories, but
-- for those that are no evidence of the model. `accuracy` is the mean score of those that have one.
SELECT
    round,
    count(*) AS trajectories,
    count(*) FILTER (verdict = 'correct') AS correct,
    count(*) FILTER (verdict = 'wrong') AS wrong,
    count(*) FILTER (verdict = 'no_answer') AS no_answer,
    count(*) FILTER (verdict = 'timeout') AS timeout,
    count(*) FILTER (verdict = 'crash') AS crash,
    avg(score) AS accuracy
FROM all_verdicts
SEMI JOIN (SELECT * FROM trajectories WHERE is_evidence) AS current
    USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE run_id = $run_id AND grading = $grading
GROUP BY round
ORDER BY round

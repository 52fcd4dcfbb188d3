-- Grain: one row per round of run $run_id: what grading $grading says of its trajectories.
SELECT
    round,
    count(*) AS trajectories,
    count(*) FILTER (verdict = 'correct') AS correct,
    count(*) FILTER (verdict = 'wrong') AS wrong,
    count(*) FILTER (verdict = 'no_answer') AS no_answer,
    count(*) FILTER (verdict = 'timeout') AS timeout,
    count(*) FILTER (verdict = 'crash') AS crash,
    avg(score) AS score
FROM verdicts
WHERE run_id = $run_id AND grading = $grading
GROUP BY round
ORDER BY round

-- Grain: one row per round and problem of run $run_id: the verdicts on the messages the round makes.
SELECT
    round,
    runs.steps[round] AS step,
    problem_id,
    found.messages,
    found.judged,
    found.accuracy,
    found.no_answer,
    found.timeout,
    found.crash,
    found.unjudged
FROM message_scores AS found
JOIN runs USING (run_id)
WHERE run_id = $run_id
ORDER BY round, problem_id

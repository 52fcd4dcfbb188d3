-- Grain: one row per replicate of problem $problem_id in run $run_id that has ended, the first $rows of them: its
-- answer, cut, the verdict on it, and its tokens. Of the `messages` that its last round saw `correct` are right,
-- null where they are not graded.
SELECT
    answers.replicate,
    left(answers.answer, 200) AS answer,
    answers.status,
    outcomes.is_evidence,
    left(answers.reason, 200) AS reason,
    scores.verdict,
    scores.score,
    seen.messages,
    seen.correct,
    mart_ttc.effective_tokens AS tokens
FROM answers
JOIN runs USING (run_id)
JOIN outcomes USING (run_id, problem_id, replicate)
LEFT JOIN mart_ttc USING (run_id, problem_id, replicate)
LEFT JOIN scores USING (run_id, problem_id, replicate)
LEFT JOIN (
    SELECT
        messages.replicate,
        count(*) AS messages,
        if(count(verdicts.verdict) = 0, NULL, count(*) FILTER (verdicts.verdict = 'correct')) AS correct
    FROM messages
    JOIN runs USING (run_id)
    LEFT JOIN verdicts USING (run_id, round, problem_id, replicate, trajectory_id)
    WHERE messages.run_id = $run_id AND messages.problem_id = $problem_id AND messages.round = runs.rounds - 1
    GROUP BY messages.replicate
) AS seen USING (replicate)
WHERE answers.run_id = $run_id AND answers.problem_id = $problem_id
ORDER BY answers.replicate
LIMIT $rows

-- Grain: one row per replicate of $replicates of problem $problem_id in run $run_id that has ended; `message` is
-- the whole text the answer was read from.
SELECT
    answers.replicate,
    answers.answer,
    answers.method,
    answers.status,
    outcomes.is_evidence,
    answers.reason,
    scores.verdict,
    scores.score,
    scores.grader,
    scores.grader_version,
    scores.gold,
    coalesce(messages.text, said.conclusion) AS message
FROM answers
JOIN runs USING (run_id)
JOIN outcomes USING (run_id, problem_id, replicate)
LEFT JOIN scores USING (run_id, problem_id, replicate)
LEFT JOIN messages
    ON messages.run_id = answers.run_id
    AND messages.round = runs.rounds
    AND messages.problem_id = answers.problem_id
    AND messages.replicate = answers.replicate
    AND messages.trajectory_id = answers.trajectory_id
LEFT JOIN agreed USING (run_id, problem_id, replicate)
LEFT JOIN trajectories AS said
    ON said.run_id = answers.run_id
    AND said.round = agreed.round
    AND said.problem_id = answers.problem_id
    AND said.replicate = answers.replicate
    AND said.trajectory_id = answers.trajectory_id
WHERE
    answers.run_id = $run_id
    AND answers.problem_id = $problem_id
    AND list_contains($replicates, answers.replicate)
ORDER BY answers.replicate

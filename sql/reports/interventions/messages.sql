-- Grain: one row per message that round $round of run $run_id makes, of the problems in $problem_ids.
-- `is_right` is null where its trajectory has no such verdict.
SELECT
    messages.problem_id,
    messages.replicate,
    messages.trajectory_id,
    messages.text,
    CASE graded.verdict WHEN 'correct' THEN true WHEN 'wrong' THEN false WHEN 'no_answer' THEN false END
        AS is_right
FROM messages
LEFT JOIN verdicts AS graded USING (run_id, round, problem_id, replicate, trajectory_id)
WHERE
    messages.run_id = $run_id
    AND messages.round = $round
    AND list_contains($problem_ids, messages.problem_id)
ORDER BY messages.problem_id, messages.replicate, messages.position

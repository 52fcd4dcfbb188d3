-- In a closed run a score is that of its problem's current answer. A later grading may read
-- another answer in it, but reads the same trajectory.
SELECT
    scores.run_id,
    scores.problem_id,
    scores.replicate,
    scores.grading,
    scores.answer,
    answers.answer AS standing_answer
FROM scores
JOIN runs USING (run_id)
LEFT JOIN answers USING (run_id, problem_id, replicate)
WHERE
    runs.finished_at IS NOT NULL
    AND (
        answers.status IS NULL
        OR (scores.grading = 'run' AND scores.answer IS DISTINCT FROM answers.answer)
        OR scores.trajectory_id IS DISTINCT FROM answers.trajectory_id
    )

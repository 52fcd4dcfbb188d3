-- Grain: one row per problem and trajectory of round 1 of the runs in $run_ids, each trajectory once: the pool that
-- message sets are drawn from. Of all problems, or where $problem_ids is a list of those in it.
-- `text`: its message, null where it came to none. `score`: null where nothing says what it is worth, since an
-- engine failed, or a grader did, or nobody graded it. `draw`: the first of this prompt that it is.
SELECT
    standing.problem_id,
    standing.trajectory_id,
    min(standing.draw)::INTEGER AS draw,
    max(said.text) AS text,
    max(graded.score) AS score,
    max(standing.completion_tokens)::INTEGER AS completion_tokens
FROM trajectories AS standing
LEFT JOIN messages AS said USING (run_id, round, problem_id, replicate, trajectory_id)
LEFT JOIN verdicts AS graded USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE
    list_contains($run_ids, standing.run_id)
    AND standing.round = 1
    AND (
        $problem_ids::VARCHAR[] IS NULL
        OR standing.problem_id IN (SELECT unnest($problem_ids::VARCHAR[]))
    )
GROUP BY standing.problem_id, standing.trajectory_id
ORDER BY standing.problem_id, draw, standing.trajectory_id

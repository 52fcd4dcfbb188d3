-- Every message stands for a trajectory of its own round, problem and replicate with a conclusion.
SELECT
    messages.run_id,
    messages.round,
    messages.problem_id,
    messages.replicate,
    messages.position,
    messages.trajectory_id
FROM messages
ANTI JOIN (
    SELECT * FROM standing_trajectories WHERE conclusion IS NOT NULL
) AS concluded USING (run_id, round, problem_id, replicate, trajectory_id)

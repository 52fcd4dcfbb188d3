-- Grain: one row per run, problem and replicate with something to be scored (`is_evidence` of `outcomes`):
-- which trajectories decide the answer. `decided_by` is the id of the last one, or the ids of all those of the
-- round in which the model failed. As an id is that of prompt, sampling and draw, answers with the same
-- `decided_by` are one answer, and so is everything on the way to it that was seen.
SELECT
    outcomes.run_id,
    outcomes.problem_id,
    outcomes.replicate,
    string_agg(trajectories.trajectory_id, ' ' ORDER BY trajectories.trajectory_id) AS decided_by
FROM outcomes
JOIN trajectories
    ON trajectories.run_id = outcomes.run_id
    AND trajectories.round = outcomes.ended_in
    AND trajectories.problem_id = outcomes.problem_id
    AND trajectories.replicate = outcomes.replicate
WHERE outcomes.is_evidence
GROUP BY outcomes.run_id, outcomes.problem_id, outcomes.replicate

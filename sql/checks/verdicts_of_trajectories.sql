-- Every verdict of a grading is on a trajectory of the same slot, and there is one at most.
SELECT
    given.run_id,
    given.grading,
    given.round,
    given.problem_id,
    given.replicate,
    given.slot,
    given.trajectory_id
FROM all_verdicts AS given
ANTI JOIN trajectories AS standing
    ON standing.run_id = given.run_id
    AND standing.round = given.round
    AND standing.problem_id = given.problem_id
    AND standing.replicate = given.replicate
    AND standing.slot = given.slot
    AND standing.trajectory_id = given.trajectory_id

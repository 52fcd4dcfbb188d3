-- Every verdict of a grading is on a trajectory that stands in its own place, and so one at most.
SELECT
    verdicts.run_id,
    verdicts.grading,
    verdicts.round,
    verdicts.problem_id,
    verdicts.replicate,
    verdicts.slot,
    verdicts.trajectory_id
FROM verdicts
ANTI JOIN standing_trajectories AS standing
    ON standing.run_id = verdicts.run_id
    AND standing.round = verdicts.round
    AND standing.problem_id = verdicts.problem_id
    AND standing.replicate = verdicts.replicate
    AND standing.slot = verdicts.slot
    AND standing.trajectory_id = verdicts.trajectory_id
WHERE verdicts.grading <> 'run'

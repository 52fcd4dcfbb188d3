-- No trajectory fills two slots of one problem and replicate in one round.
SELECT run_id, round, problem_id, replicate, trajectory_id, count(*) AS rows
FROM all_trajectories
GROUP BY run_id, round, problem_id, replicate, trajectory_id
HAVING count(*) > 1

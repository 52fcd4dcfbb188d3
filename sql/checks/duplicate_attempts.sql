-- A slot has each attempt once.
SELECT run_id, round, problem_id, replicate, slot, attempt, count(*) AS rows
FROM all_trajectories
GROUP BY run_id, round, problem_id, replicate, slot, attempt
HAVING count(*) > 1

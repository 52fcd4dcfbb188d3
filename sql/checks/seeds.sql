-- Seeds have 53 bits, so that every JSON reader keeps them exact.
SELECT run_id, round, problem_id, replicate, slot, attempt, seed
FROM all_trajectories
WHERE seed NOT BETWEEN 0 AND 9007199254740991

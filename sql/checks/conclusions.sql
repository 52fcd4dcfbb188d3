-- A trajectory has a conclusion exactly when its status says so.
SELECT run_id, round, problem_id, replicate, slot, attempt, conclusion_status
FROM all_trajectories
WHERE (conclusion IS NULL) = (conclusion_status = 'present')

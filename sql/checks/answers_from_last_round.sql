-- Every answer was read from a trajectory of its run's last round, or where the messages of a round agreed, of that.
SELECT answers.run_id, answers.problem_id, answers.replicate, answers.trajectory_id
FROM answers
JOIN runs USING (run_id)
LEFT JOIN agreed USING (run_id, problem_id, replicate)
ANTI JOIN trajectories AS last_round
    ON last_round.run_id = answers.run_id
    AND last_round.round = coalesce(agreed.round, runs.rounds)
    AND last_round.problem_id = answers.problem_id
    AND last_round.replicate = answers.replicate
    AND last_round.trajectory_id = answers.trajectory_id
WHERE answers.status = 'answered'

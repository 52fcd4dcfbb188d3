-- Grain: one row per run, problem and replicate whose messages agreed in a round, so that no round followed it:
-- the round, and the trajectory whose message has the answer.
SELECT run_id, problem_id, replicate, round, ends_with AS trajectory_id
FROM stops
WHERE ends_with IS NOT NULL

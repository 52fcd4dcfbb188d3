-- Grain: one row per problem of run $run_id that has a graded trajectory in round 1: how many of them have a score,
-- and how many are right.
SELECT
    problem_id,
    count(score) AS observed,
    count(*) FILTER (verdict = 'correct') AS correct
FROM pools
WHERE run_id = $run_id AND pool = 'first_round'
GROUP BY problem_id
ORDER BY problem_id

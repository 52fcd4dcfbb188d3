-- The positions of a message set are 1 to n, each once.
SELECT
    run_id,
    round,
    problem_id,
    replicate,
    list(position ORDER BY position) AS positions
FROM messages
GROUP BY run_id, round, problem_id, replicate
HAVING positions <> range(1, count(*) + 1)

-- An answer has one current score.
SELECT run_id, problem_id, replicate, count(*) AS rows
FROM scores
GROUP BY run_id, problem_id, replicate
HAVING count(*) > 1

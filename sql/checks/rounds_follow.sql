-- In a closed run every round after the first follows on messages of the round before, and every
-- message set is followed by a round, the last one's by an answer.
WITH sampled AS (
    SELECT DISTINCT run_id, round, problem_id, replicate FROM trajectories
),

handed_on AS (
    SELECT DISTINCT run_id, round, problem_id, replicate FROM messages
),

ended AS (
    SELECT answers.run_id, runs.rounds + 1 AS round, answers.problem_id, answers.replicate
    FROM answers
    JOIN runs USING (run_id)
)

SELECT sampled.run_id, sampled.round, sampled.problem_id, sampled.replicate
FROM sampled
JOIN runs USING (run_id)
ANTI JOIN handed_on
    ON handed_on.run_id = sampled.run_id
    AND handed_on.round = sampled.round - 1
    AND handed_on.problem_id = sampled.problem_id
    AND handed_on.replicate = sampled.replicate
WHERE sampled.round > 1 AND runs.finished_at IS NOT NULL
UNION ALL
SELECT handed_on.run_id, handed_on.round, handed_on.problem_id, handed_on.replicate
FROM handed_on
JOIN runs USING (run_id)
ANTI JOIN (SELECT * FROM sampled UNION ALL SELECT * FROM ended) AS following
    ON following.run_id = handed_on.run_id
    AND following.round = handed_on.round + 1
    AND following.problem_id = handed_on.problem_id
    AND following.replicate = handed_on.replicate
WHERE runs.finished_at IS NOT NULL

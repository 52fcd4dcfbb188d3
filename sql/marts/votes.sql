-- Grain: one row per run and round that is graded: how often the leading answer of a set of trajectories is right.
-- This is self-consistency within a round: the answer that most trajectories of a problem and replicate gave. Before
-- `pacore grade` only the last round is graded, whose sets have one trajectory. `mart_majority` votes over replicates.
-- Columns:
--   runs.run_id
--   trajectories.round
--   sets BIGINT: Sets of trajectories, one of each problem and replicate, that are graded.
--   accuracy DOUBLE in [0, 1]: Mean over problems of the score of the leading answer; of equal votes the mean of their
--     scores, and 0 where no trajectory has an answer.
--   mean_votes DOUBLE: Trajectories of a set that gave an answer, on average.
--   mean_tokens DOUBLE in tokens: What a set took on average, with what was aborted.
WITH classes AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        answer_key,
        count(answer_key) AS votes,
        coalesce(max(score), 0) AS score
    FROM verdicts
    GROUP BY run_id, round, problem_id, replicate, answer_key
),

voted AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        avg(if(votes = 0, 0, score)) FILTER (votes = most) AS accuracy,
        sum(votes) AS votes
    FROM (
        SELECT *, max(votes) OVER (PARTITION BY run_id, round, problem_id, replicate) AS most
        FROM classes
    )
    GROUP BY run_id, round, problem_id, replicate
),

spent AS (
    SELECT run_id, round, problem_id, replicate, sum(completion_tokens) AS tokens
    FROM trajectories
    GROUP BY run_id, round, problem_id, replicate
)

SELECT
    run_id,
    round,
    sum(sets)::BIGINT AS sets,
    avg(accuracy) AS accuracy,
    sum(votes) / nullif(sum(sets), 0) AS mean_votes,
    sum(tokens) / nullif(sum(sets), 0) AS mean_tokens
FROM (
    SELECT
        run_id,
        round,
        problem_id,
        count(*) AS sets,
        avg(voted.accuracy) AS accuracy,
        sum(voted.votes) AS votes,
        sum(spent.tokens) AS tokens
    FROM voted
    JOIN spent USING (run_id, round, problem_id, replicate)
    GROUP BY run_id, round, problem_id
)
GROUP BY run_id, round
ORDER BY run_id, round

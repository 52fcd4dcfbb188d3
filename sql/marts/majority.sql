-- Grain: one row per run, pool and k: accuracy of the answer that most of k samples give (self-consistency).
-- Only graded runs have votes to count. Of tied answers each is as likely, members without an answer never
-- vote, and where there is no vote the accuracy is 0.
-- Columns:
--   runs.run_id
--   mart_pass_at_k.pool
--   mart_pass_at_k.k
--   maj_at_k DOUBLE in [0, 1]: Mean over problems of the expected score of the answer that most of k members give,
--     taken without replacement; null where some problem has fewer than k scored members.
--   method VARCHAR: `exact` where every subset was counted for every problem, else `resampled` (400 subsets).
--   problems BIGINT: Problems with a scored member.
--   tokens DOUBLE in tokens: Mean tokens of k members of a problem, the TTC of such a vote; null where not all are
--     known.
WITH voted AS (
    SELECT run_id, pool, k, avg(accuracy) AS accuracy, bool_and(method = 'exact') AS is_exact
    FROM majorities
    GROUP BY run_id, pool, k
),

spent AS (
    SELECT run_id, pool, avg(tokens) AS tokens
    FROM (
        SELECT
            run_id,
            pool,
            problem_id,
            if(count(completion_tokens) = count(*), avg(completion_tokens), NULL) AS tokens
        FROM pools
        WHERE score IS NOT NULL
        GROUP BY run_id, pool, problem_id
    )
    GROUP BY run_id, pool
    HAVING count(tokens) = count(*)
)

SELECT
    run_id,
    pool,
    k,
    voted.accuracy AS maj_at_k,
    CASE WHEN voted.is_exact THEN 'exact' WHEN NOT voted.is_exact THEN 'resampled' END AS method,
    pool_sizes.problems,
    k * spent.tokens AS tokens
FROM pool_sizes
SEMI JOIN graded_runs USING (run_id)
LEFT JOIN voted USING (run_id, pool, k)
LEFT JOIN spent USING (run_id, pool)
ORDER BY run_id, pool, k

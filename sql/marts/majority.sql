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

sizes AS (
    SELECT
        run_id,
        pool,
        k,
        count(*) AS problems,
        if(count(tokens) = count(*), avg(tokens), NULL) AS tokens
    FROM pool_numbers
    GROUP BY run_id, pool, k
)

SELECT
    run_id,
    pool,
    k,
    voted.accuracy AS maj_at_k,
    CASE WHEN voted.is_exact THEN 'exact' WHEN NOT voted.is_exact THEN 'resampled' END AS method,
    sizes.problems,
    k * sizes.tokens AS tokens
FROM sizes
SEMI JOIN graded_runs USING (run_id)
LEFT JOIN voted USING (run_id, pool, k)
ORDER BY run_id, pool, k

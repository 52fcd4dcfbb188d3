-- Grain: one row per run, pool and k: the chance that of k samples at least one is correct, or all are.
-- Both are exact.
-- Columns:
--   runs.run_id
--   pool VARCHAR: What is sampled: `first_round`, samples of the bare problem, or `answers` of the replicates.
--   k BIGINT: How many members are taken, without replacement.
--   pass_at_k DOUBLE in [0, 1]: Mean over problems of 1 - C(n - c, k) / C(n, k), of n scored members with c correct
--     ones; null where some problem has fewer than k.
--   pass_power_k DOUBLE in [0, 1]: The same of C(c, k) / C(n, k), the chance that all k are correct.
--   problems BIGINT: Problems with a scored member.
--   members BIGINT: Scored members of the problem that has fewest.
WITH counted AS (
    SELECT run_id, pool, k, members, correct, count(*) AS problems
    FROM pool_numbers
    GROUP BY run_id, pool, k, members, correct
),

chances AS (
    SELECT
        run_id,
        pool,
        k,
        members,
        problems,
        if(members < k, NULL, 1 - coalesce(list_aggregate(list_transform(
            range(members - correct + 1, members + 1),
            lambda i: greatest(0, 1 - k / nullif(i, 0)::DOUBLE)
        ), 'product'), 1)) AS any_correct,
        if(members < k, NULL, list_aggregate(list_transform(
            range(0, k),
            lambda i: greatest(0, correct - i) / nullif(members - i, 0)::DOUBLE
        ), 'product')) AS all_correct
    FROM counted
)

SELECT
    run_id,
    pool,
    k,
    if(min(members) < k, NULL, sum(any_correct * problems) / nullif(sum(problems), 0)) AS pass_at_k,
    if(min(members) < k, NULL, sum(all_correct * problems) / nullif(sum(problems), 0)) AS pass_power_k,
    sum(problems)::BIGINT AS problems,
    min(members) AS members
FROM chances
GROUP BY run_id, pool, k
ORDER BY run_id, pool, k

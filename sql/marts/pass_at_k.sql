-- Grain: one row per run, pool and k. Pools are `first_round` (samples of the bare problem) and `answers`
-- (the answers of the replicates).
-- `pass_at_k`: chance that at least one of k members taken without replacement is correct, 1 - C(n - c, k)
-- / C(n, k), of n scored members with c correct ones; `pass_power_k`: that all k are, C(c, k) / C(n, k).
-- Both are means over problems, exact, and null where some problem has fewer than k scored members.
-- `problems`: problems with a scored member; `members`: scored members a problem, at the least.
WITH counted AS (
    SELECT
        run_id,
        pool,
        problem_id,
        count(score) AS members,
        count(*) FILTER (verdict = 'correct') AS correct
    FROM pools
    GROUP BY run_id, pool, problem_id
    HAVING count(score) > 0
),

chances AS (
    SELECT
        run_id,
        pool,
        k,
        members,
        if(members < k, NULL, 1 - coalesce(list_aggregate(list_transform(
            range(members - correct + 1, members + 1),
            lambda i: greatest(0, 1 - k / nullif(i, 0)::DOUBLE)
        ), 'product'), 1)) AS any_correct,
        if(members < k, NULL, list_aggregate(list_transform(
            range(0, k),
            lambda i: greatest(0, correct - i) / nullif(members - i, 0)::DOUBLE
        ), 'product')) AS all_correct
    FROM pool_sizes
    JOIN counted USING (run_id, pool)
)

SELECT
    run_id,
    pool,
    k,
    if(count(any_correct) = count(*), avg(any_correct), NULL) AS pass_at_k,
    if(count(all_correct) = count(*), avg(all_correct), NULL) AS pass_power_k,
    count(*) AS problems,
    min(members) AS members
FROM chances
GROUP BY run_id, pool, k
ORDER BY run_id, pool, k

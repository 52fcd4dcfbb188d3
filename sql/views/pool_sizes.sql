-- Grain: one row per run, pool and number k of members to be taken: the powers of two up to the largest
-- pool of a problem, that pool's own size, and those the warehouse was opened with. `problems` counts those
-- with a scored member, and `enough` those of them with at least k.
WITH counted AS (
    SELECT run_id, pool, problem_id, count(score) AS members
    FROM pools
    GROUP BY run_id, pool, problem_id
    HAVING count(score) > 0
),

largest AS (
    SELECT run_id, pool, max(members) AS members
    FROM counted
    GROUP BY run_id, pool
),

numbers AS (
    SELECT DISTINCT run_id, pool, k
    FROM largest
    CROSS JOIN LATERAL (
        SELECT unnest(
            list_append(list_transform(range(0, 13), lambda power: (2 ** power)::BIGINT), members)
            || getvariable('numbers')
        ) AS k
    )
    WHERE k <= members
)

SELECT
    run_id,
    pool,
    k,
    count(*) AS problems,
    count(*) FILTER (counted.members >= k) AS enough
FROM numbers
JOIN counted USING (run_id, pool)
GROUP BY run_id, pool, k

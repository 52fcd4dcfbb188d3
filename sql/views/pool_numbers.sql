-- Grain: one row per run, pool, problem with a scored member and number k of members to be taken: the powers of
-- two up to the largest pool of a problem, that pool's own size, and those the warehouse was opened with.
-- `members` are those with a score, of which `correct` are right; there may be fewer than k. `tokens` is their
-- mean, null where not all are known.
WITH counted AS (
    SELECT
        run_id,
        pool,
        problem_id,
        count(score) AS members,
        count(*) FILTER (verdict = 'correct') AS correct,
        if(
            count(completion_tokens) FILTER (score IS NOT NULL) = count(score),
            avg(completion_tokens) FILTER (score IS NOT NULL),
            NULL
        ) AS tokens
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
    problem_id,
    k,
    counted.members,
    counted.correct,
    counted.tokens
FROM numbers
JOIN counted USING (run_id, pool)

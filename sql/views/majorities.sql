-- Grain: one row per run, pool, problem and k, where each problem of the pool has k members: the expected
-- score of the answer most of k members give, over all ways to take k without replacement. Answers count
-- by equivalence class (`answer_key`), of tied classes each is as likely, a member without an answer never
-- votes, and where nobody votes the score is 0.
-- `method`: `exact` by counting all subsets, or for very large pools `resampled`, the mean over 400 subsets
-- that follow from the members' names.
-- Counting: for each number `top` of votes that may win, the classes that could reach it (rivals) are gone
-- through one after the other, keeping how many subsets (`ways`) there are by members used and classes tied
-- at the top, and their winners' scores added up (`won`); members of all other classes fill what is left.
WITH RECURSIVE voters AS (
    SELECT run_id, pool, problem_id, member, answer_key, score
    FROM pools
    WHERE score IS NOT NULL
),

sizes AS (
    SELECT run_id, pool, problem_id, count(*) AS n
    FROM voters
    GROUP BY run_id, pool, problem_id
),

asked AS (
    SELECT
        run_id,
        pool,
        problem_id,
        n,
        k,
        n * k * k <= 34000000 AND n <= 1000 AS countable
    FROM pool_sizes
    JOIN sizes USING (run_id, pool)
    WHERE enough = problems
),

classes AS (
    SELECT run_id, pool, problem_id, answer_key, count(*) AS size, avg(score) AS accuracy
    FROM voters
    WHERE answer_key IS NOT NULL
    GROUP BY run_id, pool, problem_id, answer_key
),

tops AS (
    SELECT run_id, pool, problem_id, unnest(range(1, max(size) + 1)) AS top
    FROM classes
    GROUP BY run_id, pool, problem_id
),

rivals AS (
    SELECT
        run_id,
        pool,
        problem_id,
        top,
        size,
        accuracy,
        row_number() OVER (PARTITION BY run_id, pool, problem_id, top ORDER BY answer_key) AS turn
    FROM tops
    JOIN classes USING (run_id, pool, problem_id)
    WHERE size >= top
),

fillers AS (
    SELECT run_id, pool, problem_id, top, count(*) AS rivals, any_value(n) - sum(size) AS others
    FROM rivals
    JOIN sizes USING (run_id, pool, problem_id)
    GROUP BY run_id, pool, problem_id, top
),

states AS (
    SELECT
        run_id,
        pool,
        problem_id,
        k,
        top,
        0::BIGINT AS turn,
        0::BIGINT AS used,
        0::BIGINT AS tied,
        1.0::DOUBLE AS ways,
        0.0::DOUBLE AS won
    FROM asked
    JOIN tops USING (run_id, pool, problem_id)
    WHERE countable AND top <= k
    UNION ALL
    SELECT run_id, pool, problem_id, k, top, turn, used, tied, sum(ways), sum(won)
    FROM (
        SELECT
            before.run_id,
            before.pool,
            before.problem_id,
            before.k,
            before.top,
            rivals.turn,
            before.used + votes AS used,
            before.tied + (votes = before.top)::BIGINT AS tied,
            before.ways * choices AS ways,
            (before.won + if(votes = before.top, rivals.accuracy * before.ways, 0)) * choices AS won
        FROM states AS before
        JOIN rivals
            ON rivals.run_id = before.run_id
            AND rivals.pool = before.pool
            AND rivals.problem_id = before.problem_id
            AND rivals.top = before.top
            AND rivals.turn = before.turn + 1
        CROSS JOIN LATERAL (
            SELECT
                votes,
                exp(
                    lgamma(rivals.size + 1) - lgamma(votes + 1) - lgamma(rivals.size - votes + 1)
                ) AS choices
            FROM (SELECT unnest(range(0, least(before.top, before.k - before.used) + 1)) AS votes)
        )
    )
    GROUP BY run_id, pool, problem_id, k, top, turn, used, tied
),

counted AS (
    SELECT
        run_id,
        pool,
        problem_id,
        k,
        sum(won / nullif(tied, 0) * exp(
            lgamma(others + 1) - lgamma(k - used + 1) - lgamma(others - k + used + 1)
            - lgamma(n + 1) + lgamma(k + 1) + lgamma(n - k + 1)
        )) AS accuracy
    FROM states
    JOIN fillers USING (run_id, pool, problem_id, top)
    JOIN sizes USING (run_id, pool, problem_id)
    WHERE turn = rivals AND tied > 0 AND k - used <= others
    GROUP BY run_id, pool, problem_id, k
),

shuffled AS (
    SELECT
        voters.*,
        again,
        row_number() OVER (
            PARTITION BY run_id, pool, problem_id, again
            ORDER BY md5_number_lower(concat(problem_id, ' ', member, ' ', again)), member
        ) AS place
    FROM voters
    SEMI JOIN (SELECT * FROM asked WHERE NOT countable) AS large USING (run_id, pool, problem_id)
    CROSS JOIN unnest(range(0, 400)) AS resamples (again)
),

tallies AS (
    SELECT
        asked.run_id,
        asked.pool,
        asked.problem_id,
        asked.k,
        shuffled.again,
        shuffled.answer_key,
        count(*) AS votes,
        any_value(classes.accuracy) AS accuracy
    FROM asked
    JOIN shuffled
        ON shuffled.run_id = asked.run_id
        AND shuffled.pool = asked.pool
        AND shuffled.problem_id = asked.problem_id
        AND shuffled.place <= asked.k
    JOIN classes
        ON classes.run_id = asked.run_id
        AND classes.pool = asked.pool
        AND classes.problem_id = asked.problem_id
        AND classes.answer_key = shuffled.answer_key
    WHERE NOT asked.countable
    GROUP BY ALL
),

winners AS (
    SELECT run_id, pool, problem_id, k, again, accuracy
    FROM tallies
    QUALIFY votes = max(votes) OVER (PARTITION BY run_id, pool, problem_id, k, again)
),

elections AS (
    SELECT run_id, pool, problem_id, k, again, avg(accuracy) AS accuracy
    FROM winners
    GROUP BY run_id, pool, problem_id, k, again
),

resampled AS (
    SELECT run_id, pool, problem_id, k, sum(accuracy) * 0.0025 AS accuracy
    FROM elections
    GROUP BY run_id, pool, problem_id, k
)

SELECT
    asked.run_id,
    asked.pool,
    asked.problem_id,
    asked.k,
    coalesce(counted.accuracy, resampled.accuracy, 0) AS accuracy,
    if(asked.countable, 'exact', 'resampled') AS method,
    asked.n AS members
FROM asked
LEFT JOIN counted USING (run_id, pool, problem_id, k)
LEFT JOIN resampled USING (run_id, pool, problem_id, k)

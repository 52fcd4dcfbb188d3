-- Grain: one row per run, pool, problem and k, where each problem of the pool has k members: the expected
-- score of the answer most of k members give, over all ways to take k without replacement. Answers count
-- by equivalence class (`answer_key`), of tied classes each is as likely, a member without an answer never
-- votes, and where nobody votes the score is 0.
-- `method`: `exact` by counting all subsets, or for very large pools `resampled`, the mean over 400 subsets
-- that follow from the members' names.
-- Counting: for each number `top` of votes that may win, the classes that could reach it (rivals) are gone
-- through one after the other, keeping how many subsets (`ways`) there are by members used and classes tied
-- at the top, and their winners' scores added up (`won`); members of all other classes fill what is left.
-- Of many problems most are alike in the sizes and accuracies of their classes: each kind is counted once.
WITH RECURSIVE voters AS MATERIALIZED (
    SELECT run_id, pool, problem_id, member, answer_key, score
    FROM pools
    WHERE score IS NOT NULL
),

sizes AS (
    SELECT run_id, pool, problem_id, count(*) AS n
    FROM voters
    GROUP BY run_id, pool, problem_id
),

classes AS (
    SELECT run_id, pool, problem_id, answer_key, count(*) AS size, avg(score) AS accuracy
    FROM voters
    WHERE answer_key IS NOT NULL
    GROUP BY run_id, pool, problem_id, answer_key
),

profiles AS (
    SELECT run_id, pool, problem_id, list({'size': size, 'accuracy': accuracy} ORDER BY size, accuracy) AS profile
    FROM classes
    GROUP BY run_id, pool, problem_id
),

numbered AS (
    SELECT n, profile, row_number() OVER () AS kind
    FROM profiles
    JOIN sizes USING (run_id, pool, problem_id)
    GROUP BY n, profile
),

kinds AS (
    SELECT run_id, pool, problem_id, numbered.kind
    FROM profiles
    JOIN sizes USING (run_id, pool, problem_id)
    JOIN numbered USING (n, profile)
),

asked AS (
    SELECT
        run_id,
        pool,
        problem_id,
        n,
        k,
        n * k * k <= 34000000 AND n <= 1000 AS countable,
        kinds.kind
    FROM pool_sizes
    JOIN sizes USING (run_id, pool)
    LEFT JOIN kinds USING (run_id, pool, problem_id)
    WHERE enough = problems
),

tops AS (
    SELECT kind, unnest(range(1, list_last(profile).size + 1)) AS top
    FROM numbered
),

members AS (
    SELECT kind, n, unnest(profile, recursive := true)
    FROM numbered
),

rivals AS (
    SELECT
        kind,
        top,
        n,
        size,
        accuracy,
        row_number() OVER (PARTITION BY kind, top ORDER BY size, accuracy) AS turn
    FROM tops
    JOIN members USING (kind)
    WHERE size >= top
),

fillers AS (
    SELECT
        kind,
        top,
        any_value(n) AS n,
        count(*) AS rivals,
        any_value(n) - sum(size) AS others
    FROM rivals
    GROUP BY kind, top
),

states AS (
    SELECT
        kind,
        k,
        top,
        0::BIGINT AS turn,
        0::BIGINT AS used,
        0::BIGINT AS tied,
        1.0::DOUBLE AS ways,
        0.0::DOUBLE AS won
    FROM (SELECT DISTINCT kind, k FROM asked WHERE countable)
    JOIN tops USING (kind)
    WHERE top <= k
    UNION ALL
    SELECT kind, k, top, turn, used, tied, sum(ways), sum(won)
    FROM (
        SELECT
            before.kind,
            before.k,
            before.top,
            rivals.turn,
            before.used + votes AS used,
            before.tied + (votes = before.top)::BIGINT AS tied,
            before.ways * choices AS ways,
            (before.won + if(votes = before.top, rivals.accuracy * before.ways, 0)) * choices AS won
        FROM states AS before
        JOIN rivals
            ON rivals.kind = before.kind
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
    GROUP BY kind, k, top, turn, used, tied
),

counted AS (
    SELECT
        kind,
        k,
        sum(won / nullif(tied, 0) * exp(
            lgamma(others + 1) - lgamma(k - used + 1) - lgamma(others - k + used + 1)
            - lgamma(n + 1) + lgamma(k + 1) + lgamma(n - k + 1)
        )) AS accuracy
    FROM states
    JOIN fillers USING (kind, top)
    WHERE turn = rivals AND tied > 0 AND k - used <= others
    GROUP BY kind, k
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
LEFT JOIN counted USING (kind, k)
LEFT JOIN resampled USING (run_id, pool, problem_id, k)

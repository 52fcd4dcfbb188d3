-- Grain: one row per run, problem and n: the accuracy of choosing by a judge's opinion. Pool `first_round` of
-- `pools`; the judge is the one whose opinion was finished last.
-- `best`: the expected score of the member with most votes among n taken without replacement, each of equally
-- many votes as likely; exact. `oracle`: the same if right ones had most votes. Both are defined only where
-- there are n `members` with a score and an opinion.
WITH liked AS (
    SELECT run_id, problem_id, trajectory_id AS member, max(given.score) AS liking
    FROM all_verdicts AS given
    JOIN opinions USING (run_id, grading)
    WHERE given.round = 1
    GROUP BY run_id, problem_id, trajectory_id
),

members AS (
    SELECT pools.run_id, pools.problem_id, pools.score, liked.liking
    FROM pools
    JOIN liked USING (run_id, problem_id, member)
    WHERE pools.pool = 'first_round' AND pools.score IS NOT NULL AND liked.liking IS NOT NULL
),

levels AS (
    SELECT
        run_id,
        problem_id,
        liking,
        count(*) AS tied,
        avg(score) AS accuracy,
        sum(count(*)) OVER liked_more - count(*) AS better,
        sum(count(*)) OVER (PARTITION BY run_id, problem_id) AS members,
        sum(sum((score = 1)::INTEGER)) OVER (PARTITION BY run_id, problem_id) AS correct
    FROM members
    GROUP BY run_id, problem_id, liking
    WINDOW liked_more AS (PARTITION BY run_id, problem_id ORDER BY liking DESC)
)

SELECT
    levels.run_id,
    levels.problem_id,
    pool_sizes.k AS n,
    any_value(levels.members) AS members,
    sum(levels.accuracy * (
        list_aggregate(list_transform(
            range(0, pool_sizes.k),
            lambda i: greatest(0, members - better - i) / nullif(members - i, 0)::DOUBLE
        ), 'product')
        - list_aggregate(list_transform(
            range(0, pool_sizes.k),
            lambda i: greatest(0, members - better - tied - i) / nullif(members - i, 0)::DOUBLE
        ), 'product')
    )) AS best,
    any_value(1 - list_aggregate(list_transform(
        range(0, pool_sizes.k),
        lambda i: greatest(0, members - correct - i) / nullif(members - i, 0)::DOUBLE
    ), 'product')) AS oracle
FROM levels
JOIN pool_sizes ON pool_sizes.run_id = levels.run_id AND pool_sizes.pool = 'first_round'
GROUP BY levels.run_id, pool_sizes.k, levels.problem_id

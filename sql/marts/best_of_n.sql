-- Grain: one row per run and n: the best of n samples of the bare problem, by a judge's opinion of each.
-- Pool `first_round` of `pools`; the judge is the one whose opinion was finished last. `best_of_n`: mean
-- over problems of the expected score of the member it likes best among n taken without replacement, of
-- equally liked ones each as likely; exact, and null where some problem has fewer than n members with a
-- score and an opinion. `oracle`: the same had it liked the right ones best (pass@n of the same members).
WITH opinions AS (
    SELECT run_id, grading, grader
    FROM gradings
    WHERE against = 'opinion' AND finished_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY sequence DESC) = 1
),

liked AS (
    SELECT run_id, problem_id, trajectory_id AS member, any_value(verdicts.score) AS liking
    FROM verdicts
    JOIN opinions USING (run_id, grading)
    WHERE verdicts.round = 1
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
        avg(score) AS score,
        sum(count(*)) OVER liked_more - count(*) AS better,
        sum(count(*)) OVER (PARTITION BY run_id, problem_id) AS members,
        sum(sum((score = 1)::INTEGER)) OVER (PARTITION BY run_id, problem_id) AS correct
    FROM members
    GROUP BY run_id, problem_id, liking
    WINDOW liked_more AS (PARTITION BY run_id, problem_id ORDER BY liking DESC)
),

by_problem AS (
    SELECT
        levels.run_id,
        pool_sizes.k,
        levels.problem_id,
        any_value(levels.members) AS members,
        sum(levels.score * (
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
)

SELECT
    by_problem.run_id,
    by_problem.k AS n,
    opinions.grading,
    opinions.grader,
    if(min(members) < by_problem.k, NULL, avg(best)) AS best_of_n,
    if(min(members) < by_problem.k, NULL, avg(oracle)) AS oracle,
    count(*) AS problems,
    min(members)::BIGINT AS members
FROM by_problem
JOIN opinions USING (run_id)
GROUP BY by_problem.run_id, by_problem.k, opinions.grading, opinions.grader
ORDER BY run_id, n

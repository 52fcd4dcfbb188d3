-- Grain: one row per run and n: the best of n samples of the bare problem, by a judge's opinion of each.
-- Pool `first_round` of `pools`; the judge is the one whose opinion was finished last. `best_of_n`: mean
-- over problems of the expected score of the member with most votes among n taken without replacement, of
-- equally many votes each as likely; exact, and null where some problem has fewer than n members with a
-- score and an opinion. `oracle`: the same if right ones had most votes (pass@n of the same members).
SELECT
    by_problem.run_id,
    by_problem.n,
    opinions.grading,
    opinions.grader,
    if(min(members) < by_problem.n, NULL, avg(best)) AS best_of_n,
    if(min(members) < by_problem.n, NULL, avg(oracle)) AS oracle,
    count(*) AS problems,
    min(members)::BIGINT AS members
FROM judge_choices AS by_problem
JOIN opinions USING (run_id)
GROUP BY by_problem.run_id, by_problem.n, opinions.grading, opinions.grader
ORDER BY run_id, n

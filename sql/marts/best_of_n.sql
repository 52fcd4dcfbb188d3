-- Grain: one row per run and n: the best of n samples of the bare problem, by a judge's opinion of each.
-- Pool `first_round` of `pools`; the judge is the one whose opinion was finished last. Of equally
-- many votes each is as likely.
-- Columns:
--   runs.run_id
--   n BIGINT: How many samples are taken, without replacement.
--   grading VARCHAR: The judge's grading.
--   grader VARCHAR: The judge.
--   best_of_n DOUBLE in [0, 1]: Mean over problems of the expected score of the sample with most votes; exact, and
--     null where some problem has fewer than n samples with a score and an opinion.
--   oracle DOUBLE in [0, 1]: The same if right ones had most votes, which is pass@n of the same samples.
--   problems BIGINT: Problems with such samples.
--   members BIGINT: Such samples of the problem that has fewest.
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

-- Grain: one row per run, round and problem: `shared_shingles` as means over its `episodes` with a figure.
-- `compared` episodes have `unseen` messages, too, and `compared_seen` is `seen` of these alone; `several` saw
-- more messages than one, which is what `among` is of.
SELECT
    run_id,
    round,
    problem_id,
    count(*) AS episodes,
    avg(seen) AS seen,
    count(unseen) AS compared,
    avg(seen) FILTER (unseen IS NOT NULL) AS compared_seen,
    avg(unseen) AS unseen,
    count(among) AS several,
    avg(among) AS among
FROM shared_shingles
WHERE seen IS NOT NULL
GROUP BY run_id, round, problem_id

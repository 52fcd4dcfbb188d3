-- Grain: one row per round and problem of run $run_id: overlaps as in `mart_overlap`, means over the episodes.
SELECT
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
WHERE run_id = $run_id AND seen IS NOT NULL
GROUP BY round, problem_id
ORDER BY round, problem_id

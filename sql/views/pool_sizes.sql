-- Grain: one row per run, pool and number k of members to be taken, as in `pool_numbers`. `problems` counts those
-- with a scored member, and `enough` those of them with at least k.
SELECT
    run_id,
    pool,
    k,
    count(*) AS problems,
    count(*) FILTER (members >= k) AS enough
FROM pool_numbers
GROUP BY run_id, pool, k

-- Grain: one row per message of the messages file $path, each set together and in its order.
SELECT
    problem_id,
    replicate,
    text,
    trajectory_id
FROM read_parquet($path, hive_partitioning = false)
ORDER BY problem_id, replicate, position

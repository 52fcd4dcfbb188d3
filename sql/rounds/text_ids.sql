-- Grain: one row per trajectory whose text stands in one of the trajectory_texts files $paths.
SELECT DISTINCT trajectory_id
FROM read_parquet($paths, hive_partitioning = false)

-- Grain: one row: how many rows the file $path has.
SELECT count(*) AS rows
FROM read_parquet($path, hive_partitioning = false)

-- Grain: one row per problem and replicate of the stops file $path on which no round follows, as its messages agree.
SELECT problem_id, replicate, ends_with
FROM read_parquet($path, hive_partitioning = false)
WHERE ends_with IS NOT NULL
ORDER BY problem_id, replicate

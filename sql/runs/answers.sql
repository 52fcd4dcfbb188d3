-- Grain: one row per problem and replicate of the answers file $path.
SELECT
    problem_id,
    replicate,
    answer,
    method,
    trajectory_id,
    finish_reason,
    status,
    reason,
    failed_round
FROM read_parquet($path, hive_partitioning = false)
ORDER BY problem_id, replicate

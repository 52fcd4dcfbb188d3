-- Grain: one row per run, problem and replicate, whether or not it came to an answer.
SELECT
    run_id,
    problem_id,
    replicate,
    answer,
    trajectory_id,
    finish_reason,
    status,
    method,
    reason,
    failed_round
FROM read_parquet(
    getvariable('answers_files'),
    hive_partitioning = true,
    hive_types = {'run_id': VARCHAR, 'round': INTEGER}
)

-- Grain: one row per run, problem and replicate whose problem has a gold answer.
SELECT
    run_id,
    problem_id,
    replicate,
    grader,
    status,
    score,
    gold,
    answer,
    trajectory_id,
    grader_version
FROM read_parquet(
    getvariable('scores_files'),
    hive_partitioning = true,
    hive_types = {'run_id': VARCHAR, 'round': INTEGER}
)

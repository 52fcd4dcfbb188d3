-- Grain: one row per run, round, problem, replicate and position in the message set.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    problem_id,
    replicate,
    position,
    trajectory_id,
    text,
    characters,
    compactor
FROM read_parquet(getvariable('messages_files'), hive_partitioning = false)

-- Grain: one row per run, problem and replicate, whether it has an answer or not.
SELECT
    run_of(filename) AS run_id,
    problem_id,
    replicate,
    unfiltered(answer) AS answer,
    unfiltered(trajectory_id) AS trajectory_id,
    unfiltered(finish_reason) AS finish_reason,
    status,
    unfiltered(method) AS method,
    unfiltered(reason) AS reason,
    failed_round
FROM read_parquet(getvariable('answers_files'), hive_partitioning = false)

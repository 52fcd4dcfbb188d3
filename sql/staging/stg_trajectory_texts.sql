-- Grain: one row per trajectory whose text a run stored first. Where another run's trajectory was
-- reused, its text is stored with that run: join on trajectories.text_run_id = run_id.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    problem_id,
    replicate,
    slot,
    trajectory_id,
    reasoning,
    content
FROM read_parquet(getvariable('trajectory_texts_files'), hive_partitioning = false)

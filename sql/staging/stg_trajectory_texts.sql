-- Grain: one row per trajectory whose text a run stored first: thoughts and content as the server sent them.
-- Where another run's trajectory was reused, its text is stored with that run: join on
-- trajectories.text_run_id = trajectory_texts.run_id and the trajectory's id.
-- Columns:
--   run_id VARCHAR: The run that stored the text, `text_run_id` of `trajectories`.
--   trajectories.round
--   problems.problem_id
--   trajectories.replicate
--   trajectories.slot
--   trajectories.trajectory_id
--   reasoning VARCHAR: The thoughts; null where there are none.
--   content VARCHAR: What the server sent as content, thoughts in it included; null where it sent none.
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

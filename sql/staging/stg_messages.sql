-- Grain: one row per run, round, problem, replicate and position in the message set: what a round passes on.
-- Columns:
--   runs.run_id
--   round INTEGER: The round that made the message; the next one sees it, and that of the last has the answer.
--   problems.problem_id
--   trajectories.replicate
--   position INTEGER: Place of the message in its set, from 1.
--   trajectory_id VARCHAR: The trajectory it was made of.
--   text VARCHAR: The message itself.
--   characters BIGINT in characters: Length of the message.
--   compactor VARCHAR: What made it of the trajectory, with its version, such as `conclusion/1`.
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

-- Grain: one row per run, problem and replicate that has ended: its answer, or why there is none.
-- Columns:
--   runs.run_id
--   problems.problem_id
--   trajectories.replicate
--   answer VARCHAR: What the final message answers; null where there is no answer.
--   trajectory_id VARCHAR: The last trajectory; null where the replicate did not reach the last round.
--   finish_reason VARCHAR: How that trajectory ended.
--   status VARCHAR: `answered`, `no_answer`, or `failed` where there is no final message.
--   method VARCHAR: How the answer was found in the message, such as `boxed`.
--   reason VARCHAR: Why there is no answer, in a line; else null.
--   failed_round INTEGER: The round in which a failed replicate ended; else null.
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

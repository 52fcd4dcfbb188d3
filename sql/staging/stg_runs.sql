-- Grain: one row per run: its configuration, its problem set, and whether it has ended.
-- Columns:
--   run_id VARCHAR: Name of the run.
--   status VARCHAR: `open`, `incomplete: budget` where that stopped it, `complete`, or `failures` where it ended with
--     problems that failed.
--   created_at TIMESTAMP in UTC: When the run was first started.
--   finished_at TIMESTAMP in UTC: When it came to its end; null while it is open.
--   identity_digest VARCHAR: The sha256 of everything that the run's trajectory ids follow from.
--   problem_set VARCHAR: Name of its frozen problem set, with the first digits of its digest.
--   problems BIGINT: Problems of its set.
--   model VARCHAR: The model, as it was named when the run was started.
--   revision VARCHAR: Revision of the weights; null where none was named.
--   widths INTEGER[]: Trajectories a problem in each round but the last, which has one.
--   replicates INTEGER: Independent passes over each problem.
--   rounds INTEGER: Rounds of the plan, the last and those that condense or distill included.
--   recipe VARCHAR in JSON: Model and sampling fields of every trajectory.
--   plan VARCHAR in JSON: Rounds, replicates and policies.
--   producer VARCHAR in JSON: Versions of the code and packages that started the run.
--   needed_messages INTEGER[]: Messages that a problem needs from each round to go on, the last included.
--   on_shortfall VARCHAR: What happens to a set with fewer: `fail`, `refill` or `proceed`.
--   truncated VARCHAR: What becomes of a thought that was cut: `drop` or `tail`.
--   pool INTEGER: Draws that round 1 of all replicates is taken from; null where each draws its own.
--   compaction VARCHAR: What of a trajectory becomes its message, such as `conclusion`.
--   steps VARCHAR[]: What each round does: `sample`, `condense` each message to a summary, or `distill` all to
--     one workspace.
--   bound_tokens INTEGER[] in tokens: What bounds a generation of each round; null where the recipe's limit does.
SELECT
    run_id,
    status,
    created_at AT TIME ZONE 'UTC' AS created_at,
    finished_at AT TIME ZONE 'UTC' AS finished_at,
    identity_digest,
    problem_set,
    problems,
    model,
    revision,
    widths,
    replicates,
    rounds,
    recipe,
    plan,
    producer,
    needed_messages,
    on_shortfall,
    truncated,
    pool,
    compaction,
    steps,
    bound_tokens
FROM read_parquet(getvariable('runs_files'), hive_partitioning = false)

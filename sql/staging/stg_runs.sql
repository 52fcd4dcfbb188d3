-- Grain: one row per run. Times are UTC.
-- `widths` leaves the last round out. `needed_messages` is the quorum of every round, the last included;
-- `pool` is how many draws round 1 of all replicates is taken from, null where each draws its own;
-- `steps` what each round does (`sample`, `condense` each message to a summary, `distill` all to a
-- workspace) and `bound_tokens` what bounds a generation of it, null where the recipe's own limit does.
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

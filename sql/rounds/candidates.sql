-- Grain: one row per problem, replicate and slot of the trajectories file $path: the attempt that
-- stands. `tombstones` counts the slot's attempts that this run itself saw fail in the engine.
SELECT
    problem_id,
    replicate,
    slot,
    trajectory_id,
    attempt,
    conclusion,
    content_characters,
    finish_reason,
    conclusion_status,
    error,
    count(*) FILTER (
        NOT reused AND finish_reason IN ('rejected', 'engine_error', 'timeout', 'cancelled')
    ) OVER slots AS tombstones
FROM read_parquet($path, hive_partitioning = false)
WINDOW slots AS (PARTITION BY problem_id, replicate, slot)
QUALIFY attempt = max(attempt) OVER slots
ORDER BY problem_id, replicate, slot

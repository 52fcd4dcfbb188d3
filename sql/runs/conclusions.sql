-- Grain: one row per problem, replicate and slot of the trajectories file $path whose current attempt
-- the model finished: its conclusion, null where it came to none,
-- and what ended it.
SELECT problem_id, replicate, slot, trajectory_id, conclusion, finish_reason
FROM (
    SELECT problem_id, replicate, slot, trajectory_id, conclusion, finish_reason
    FROM read_parquet($path, hive_partitioning = false)
    QUALIFY attempt = max(attempt) OVER (PARTITION BY problem_id, replicate, slot)
)
WHERE finish_reason NOT IN ('rejected', 'engine_error', 'timeout', 'cancelled', 'aborted')
ORDER BY problem_id, replicate, slot

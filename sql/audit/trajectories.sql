-- Grain: one row per attempt in the trajectories file $path, slot by slot; of problem $problem_id,
-- or of all where that is null. Times are UTC.
SELECT * REPLACE (generated_at AT TIME ZONE 'UTC' AS generated_at)
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate, slot, attempt

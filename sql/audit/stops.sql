-- Grain: one row per message set in the stops file $path; of problem $problem_id, or of all where that is null. Times
-- are UTC.
SELECT * REPLACE (decided_at AT TIME ZONE 'UTC' AS decided_at)
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate

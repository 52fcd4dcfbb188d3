-- Grain: one row per message in the messages file $path, each set together and in its order; of
-- problem $problem_id, or of all where that is null.
SELECT *
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate, position

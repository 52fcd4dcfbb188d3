-- Grain: one row per verdict in the verdicts file $path, slot by slot; of problem $problem_id, or of
-- all where that is null.
SELECT *
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate, slot

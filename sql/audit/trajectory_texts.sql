-- Grain: one row per text in the trajectory_texts file $path, its digests in place of it; of problem
-- $problem_id, or of all where that is null.
SELECT
    problem_id,
    replicate,
    slot,
    trajectory_id,
    sha256(reasoning) AS reasoning_sha256,
    sha256(content) AS content_sha256
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate, slot, trajectory_id

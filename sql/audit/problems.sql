-- Grain: one row per problem in the frozen problem set $path, in the file's own order.
SELECT
    file_row_number AS number,
    problem_set,
    problem_id,
    content_digest,
    turns,
    statement,
    gold,
    grader,
    metadata
FROM read_parquet($path, hive_partitioning = false, file_row_number = true)
ORDER BY file_row_number

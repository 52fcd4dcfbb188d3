-- Grain: one row per problem and replicate in the scores file $path; of problem $problem_id, or of all
-- where that is null. Files of an earlier version called both verdicts on an answer ok.
SELECT
    * EXCLUDE (status),
    CASE status
        WHEN 'ok' THEN if(score = 1, 'correct', 'wrong')
        WHEN 'parse_error' THEN 'crash'
        ELSE status
    END AS verdict
FROM read_parquet($path, hive_partitioning = false)
WHERE $problem_id::VARCHAR IS NULL OR problem_id = $problem_id
ORDER BY problem_id, replicate

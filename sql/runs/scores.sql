-- Grain: one row per problem, answer, grader and its version in the scores file $path: what that
-- grader says of the answer, where it came to say something. Files of an earlier version called both
-- verdicts ok, and none has keys.
SELECT DISTINCT
    problem_id,
    grader,
    grader_version,
    answer,
    if(score = 1, 'correct', 'wrong') AS verdict,
    score,
    NULL::VARCHAR AS answer_key,
    NULL::VARCHAR AS detail
FROM read_parquet($path, hive_partitioning = false)
WHERE status IN ('correct', 'wrong', 'ok')
ORDER BY problem_id, answer

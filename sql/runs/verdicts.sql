-- Grain: one row per problem, answer, grader and its version in the verdicts file $path: what that
-- grader says of the answer, where it came to say something.
SELECT DISTINCT
    problem_id,
    grader,
    grader_version,
    answer,
    verdict,
    score,
    answer_key,
    detail
FROM read_parquet($path, hive_partitioning = false)
WHERE verdict IN ('correct', 'wrong')
ORDER BY problem_id, answer

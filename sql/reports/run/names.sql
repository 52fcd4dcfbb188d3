-- Grain: one row per problem of run $run_id whose row in its file has further fields, among which its name may
-- be; of the first $rows problems in the order of the file.
WITH shown AS (
    SELECT problem_id, metadata, position
    FROM problems
    WHERE run_id = $run_id
    ORDER BY position NULLS LAST, problem_id
    LIMIT $rows
)

SELECT problem_id, metadata
FROM shown
WHERE metadata IS NOT NULL
ORDER BY position NULLS LAST, problem_id

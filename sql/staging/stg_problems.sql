-- Grain: one row per run and problem: every run brings the whole of its frozen problem set. `position` is the
-- problem's row in the file it was frozen from, from 0; null in sets that earlier versions froze.
SELECT
    runs.run_id,
    frozen.problem_id,
    frozen.statement,
    frozen.gold,
    unfiltered(frozen.grader) AS grader,
    frozen.problem_set,
    frozen.content_digest,
    frozen.turns,
    unfiltered(frozen.metadata) AS metadata,
    frozen.position
FROM read_parquet(
    getvariable('problems_files'),
    hive_partitioning = false,
    union_by_name = true
) AS frozen
JOIN runs USING (problem_set)

-- Grain: one row per run and problem: every run brings the whole of its frozen problem set.
SELECT
    runs.run_id,
    frozen.problem_id,
    frozen.statement,
    frozen.gold,
    unfiltered(frozen.grader) AS grader,
    frozen.problem_set,
    frozen.content_digest,
    frozen.turns,
    unfiltered(frozen.metadata) AS metadata
FROM read_parquet(getvariable('problems_files'), hive_partitioning = false) AS frozen
JOIN runs USING (problem_set)

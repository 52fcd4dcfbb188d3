-- Grain: one row per run and grading: the grading of a run by one version of a grader. Times are UTC.
-- `sequence` 0, called `run`, is the run's own grading of its answers; `stands` marks the current one, whose
-- verdicts count; `against` is `gold`, or `opinion` for a judge that was shown no gold answer.
-- `finished_at` is null while a grading is not finished, and again after a retry: its verdicts may be
-- incomplete.
SELECT
    run_id,
    grading,
    sequence,
    grader,
    grader_version,
    against,
    created_at AT TIME ZONE 'UTC' AS created_at,
    finished_at AT TIME ZONE 'UTC' AS finished_at,
    stands
FROM read_parquet(getvariable('gradings_files'), hive_partitioning = false)

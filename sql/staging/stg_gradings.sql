-- Grain: one row per run and grading: the grading of a run by one version of a grader.
-- Columns:
--   runs.run_id
--   grading VARCHAR: Id of the grading; that of the run itself is `run`.
--   sequence INTEGER: Number of the grading, from 0, which is the run's own.
--   grader VARCHAR: Grader that was asked for, such as `auto` or `judge:k=3,n=4`.
--   grader_version VARCHAR: Versions of the graders that it used.
--   against VARCHAR: `gold`, or `opinion` for a judge that was shown no gold answer.
--   created_at TIMESTAMP in UTC: When it began.
--   finished_at TIMESTAMP in UTC: When it ended; null while its verdicts may be incomplete, after a retry too.
--   stands BOOLEAN: Whether it is the current one, whose verdicts count.
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

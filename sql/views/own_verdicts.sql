-- Grain: one row per run, problem and replicate whose answer the run itself has graded when it ended: all those
-- to problems with a gold answer that is for no judge, but for those that an engine has failed last.
-- `trajectory_id` is null where a replicate did not reach the last round. Columns as in `all_verdicts`.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    grading,
    problem_id,
    replicate,
    slot,
    unfiltered(trajectory_id) AS trajectory_id,
    grader,
    grader_version,
    verdict,
    score,
    answer,
    unfiltered(method) AS method,
    answer_key,
    unfiltered(detail) AS detail,
    unfiltered(gold_answer) AS gold_answer
FROM read_parquet(
    getvariable('verdicts_files'),
    hive_partitioning = false,
    union_by_name = getvariable('has_older_files')
)
WHERE grading = 'run'

-- Grain: one row per run, grading, round, problem, replicate and slot whose trajectory was graded, old
-- verdicts beside new ones. `answer` is what that grader read from it, `answer_key` its equivalence
-- class (null without an answer, and where the run itself graded), `verdict` one of correct, wrong,
-- no_answer, timeout and crash, `score` in [0, 1] and null for the last two.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    grading,
    problem_id,
    replicate,
    slot,
    trajectory_id,
    grader,
    grader_version,
    verdict,
    score,
    answer,
    unfiltered(method) AS method,
    answer_key,
    unfiltered(detail) AS detail
FROM read_parquet(getvariable('verdicts_files'), hive_partitioning = false)
UNION ALL
SELECT
    run_id,
    round,
    'run' AS grading,
    problem_id,
    replicate,
    0 AS slot,
    trajectory_id,
    grader,
    grader_version,
    verdict,
    score,
    answer,
    NULL AS method,
    NULL AS answer_key,
    NULL AS detail
FROM own_scores
WHERE trajectory_id IS NOT NULL

-- Grain: one row per run, grading, round, problem, replicate and slot that was graded, old verdicts beside
-- new ones.
-- Grading `run` is the run's own, of its last round, and it alone has rows whose `trajectory_id` is
-- null: of replicates that did not reach that round. `all_verdicts` describes the columns.
-- Files of runs begun before there were gold answers lack them, and only then are the columns of every file read.
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

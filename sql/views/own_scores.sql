-- Grain: one row per run, problem and replicate whose problem has a gold answer: the verdict of
-- the run itself when it ended. Files of an earlier version called both verdicts on an answer ok.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    problem_id,
    replicate,
    grader,
    CASE status
        WHEN 'ok' THEN if(score = 1, 'correct', 'wrong')
        WHEN 'parse_error' THEN 'crash'
        ELSE status
    END AS verdict,
    score,
    gold,
    unfiltered(answer) AS answer,
    unfiltered(trajectory_id) AS trajectory_id,
    grader_version
FROM read_parquet(getvariable('scores_files'), hive_partitioning = false)

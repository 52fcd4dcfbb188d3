-- Grain: one row per run: how many verdicts lack the evidence, and of how many.
-- What reads and compares answers has a version: two of one grader in a grading are two measures.
SELECT
    run_id,
    'observed' AS part,
    'graders' AS rule,
    1 AS version,
    'one version of each grader gave all verdicts' AS says,
    'another version of the grader in' AS lack,
    'verdicts' AS unit,
    0.0::DOUBLE AS allowed,
    sum(verdicts - most)::BIGINT AS lacking,
    sum(verdicts)::BIGINT AS total
FROM (
    SELECT run_id, sum(verdicts) AS verdicts, max(verdicts) AS most
    FROM (
        SELECT run_id, grader, grader_version, count(*) AS verdicts
        FROM standing_verdicts
        WHERE verdict <> 'no_answer'
        GROUP BY run_id, grader, grader_version
    )
    GROUP BY run_id, grader
)
GROUP BY run_id

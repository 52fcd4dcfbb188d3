-- Grain: one row per run: how many answers lack the evidence, and of how many.
-- A grading that took too long or crashed says nothing of the answer.
SELECT
    run_id,
    'observed' AS part,
    'gradings' AS rule,
    1 AS version,
    'graders came to a verdict' AS says,
    'the grader timed out or crashed on' AS lack,
    'answers' AS unit,
    0.02::DOUBLE AS allowed,
    count(*) FILTER (verdict IN ('timeout', 'crash')) AS lacking,
    count(*) AS total
FROM standing_verdicts
WHERE verdict <> 'no_answer'
GROUP BY run_id

-- Grain: one row per run: how many answers lack the evidence, and of how many.
-- A run that goes on, or was interrupted, has answers that are not there yet; one in which an engine failed may be
-- resumed and has all of them. That its budget stopped it is said by another rule.
SELECT
    run_id,
    'complete' AS part,
    'ended' AS rule,
    1 AS version,
    'the run has come to its end' AS says,
    'not at its end: without' AS lack,
    'answers' AS unit,
    0.0::DOUBLE AS allowed,
    count(*) FILTER (outcomes.outcome = 'pending' AND runs.status = 'open') AS lacking,
    any_value(runs.problems * runs.replicates) AS total
FROM runs
LEFT JOIN outcomes USING (run_id)
GROUP BY run_id

-- Grain: one row per run: how many planned answers lack the evidence, and of how many.
-- A planned answer is missing where it was not concluded, or where something else than the model prevented it
-- (`outcomes`). Of a run that goes on, other rules say so.
SELECT
    run_id,
    'complete' AS part,
    'answers' AS rule,
    1 AS version,
    'no answer is missing for a reason that is not the model''s' AS says,
    'missing:' AS lack,
    'planned answers' AS unit,
    0.0::DOUBLE AS allowed,
    count(*) FILTER (outcome = 'lost' OR (outcome = 'pending' AND runs.finished_at IS NOT NULL)) AS lacking,
    any_value(runs.problems * runs.replicates) AS total
FROM runs
LEFT JOIN outcomes USING (run_id)
GROUP BY run_id

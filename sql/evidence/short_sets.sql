-- Grain: one row per run: how many messages lack the evidence, and of how many.
-- A set that goes on with fewer messages than its round has slots is what the quorum allows; where more than half of
-- the messages are not there, the width is not that of the plan. What a rule of the plan stopped is not lacking.
SELECT
    run_id,
    'observed' AS part,
    'short_sets' AS rule,
    1 AS version,
    'rounds see most of the messages that the plan has' AS says,
    'fewer messages than planned: without' AS lack,
    'messages' AS unit,
    0.5::DOUBLE AS allowed,
    sum(greatest(0, width - aborted - messages))::BIGINT AS lacking,
    sum(width - aborted)::BIGINT AS total
FROM message_sets
JOIN runs USING (run_id)
WHERE round < runs.rounds AND messages IS NOT NULL
GROUP BY run_id

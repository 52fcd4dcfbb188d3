-- Grain: one row per run: how many planned slots lack the evidence, and of how many.
-- Round 1 has the slots of every problem and replicate; a later round those of every set of messages that the round
-- before it handed on: its width, and of a condensing round one for each message.
SELECT
    run_id,
    'complete' AS part,
    'slots' AS rule,
    1 AS version,
    'every planned slot has a current trajectory' AS says,
    'no trajectory in' AS lack,
    'planned slots' AS unit,
    0.0::DOUBLE AS allowed,
    sum(greatest(0, planned.width - coalesce(there.width, 0)))::BIGINT AS lacking,
    sum(planned.width)::BIGINT AS total
FROM (
    SELECT
        begun.* EXCLUDE (messages),
        CASE
            WHEN runs.steps[begun.round] = 'condense' THEN begun.messages
            WHEN runs.steps[begun.round] = 'distill' OR begun.round = runs.rounds THEN 1
            ELSE runs.widths[len(list_filter(runs.steps[1:begun.round], lambda step: step = 'sample'))]
        END AS width
    FROM (
        SELECT run_id, 1 AS round, problem_id, replicate, 0 AS messages
        FROM outcomes
        UNION ALL
        SELECT run_id, before.round + 1, problem_id, replicate, before.messages
        FROM message_sets AS before
        JOIN runs USING (run_id)
        WHERE before.round < runs.rounds AND before.messages IS NOT NULL
    ) AS begun
    JOIN runs USING (run_id)
) AS planned
LEFT JOIN message_sets AS there USING (run_id, round, problem_id, replicate)
GROUP BY run_id

-- Grain: one row per run: how many conclusions lack the evidence, and of how many.
-- Of a set that went on each trajectory with a conclusion gave one message; where answers alone are messages, one of
-- them at least has one.
SELECT
    run_id,
    'observed' AS part,
    'messages' AS rule,
    1 AS version,
    'every conclusion of a set has become a message of it' AS says,
    'no message of' AS lack,
    'conclusions' AS unit,
    0.0::DOUBLE AS allowed,
    sum(greatest(0, wanted - coalesce(messages, 0)))::BIGINT AS lacking,
    sum(wanted)::BIGINT AS total
FROM (
    SELECT
        made.run_id,
        made.messages,
        if(runs.compaction = 'answer' AND runs.steps[made.round] = 'sample', 1, made.conclusions) AS wanted
    FROM message_sets AS made
    JOIN message_sets AS following
        ON following.run_id = made.run_id
        AND following.round = made.round + 1
        AND following.problem_id = made.problem_id
        AND following.replicate = made.replicate
    JOIN runs ON runs.run_id = made.run_id
)
GROUP BY run_id

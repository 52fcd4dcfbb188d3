-- Grain: one row per run: how many messages lack the evidence, and of how many.
-- What makes messages of trajectories has a version: two of one compactor in a run make messages that differ for another
-- reason than their texts.
SELECT
    run_id,
    'observed' AS part,
    'compactors' AS rule,
    1 AS version,
    'one version of each compactor made all messages' AS says,
    'another version of the compactor in' AS lack,
    'messages' AS unit,
    0.0::DOUBLE AS allowed,
    sum(messages - most)::BIGINT AS lacking,
    sum(messages)::BIGINT AS total
FROM (
    SELECT run_id, sum(messages) AS messages, max(messages) AS most
    FROM (
        SELECT run_id, compactor, count(*) AS messages
        FROM messages
        GROUP BY run_id, compactor
    )
    GROUP BY run_id, regexp_replace(compactor, '/[^/]*$', '')
)
GROUP BY run_id

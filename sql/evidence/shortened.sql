-- Grain: one row per run: how many prompts lack the evidence, and of how many.
-- Where messages do not all fit the window a prompt shows some of them; the row says how many.
SELECT
    run_id,
    'observed' AS part,
    'shortened' AS rule,
    1 AS version,
    'prompts show all messages' AS says,
    'fewer messages than there are, for the window, in' AS lack,
    'prompts' AS unit,
    NULL::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (is_shortened), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE round > 1
GROUP BY run_id

-- Grain: one row per run, round, finish reason and word of the server, of the current attempts.
-- Only words that say neither that the model ended its text nor that a limit cut it: what stopped it
-- otherwise, and what is not known. A missing word is `missing`, and `null` is what the server sent.
SELECT
    run_id,
    round,
    finish_reason,
    finish_said,
    count(*) AS trajectories
FROM trajectories
WHERE finish_said IS NOT NULL
GROUP BY run_id, round, finish_reason, finish_said
ORDER BY run_id, round, finish_reason, finish_said

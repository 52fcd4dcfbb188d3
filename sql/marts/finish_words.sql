-- Grain: one row per run, round, finish reason and word of the server: ends that the server calls otherwise.
-- Only words that say neither that the model ended its text nor that a limit cut it: what stopped it
-- otherwise, and what is not known. Of the current attempts.
-- Columns:
--   runs.run_id
--   trajectories.round
--   trajectories.finish_reason
--   finish_said VARCHAR: The server's word; `missing` where it sent none, `null` where it sent that.
--   trajectories BIGINT: How many trajectories ended so.
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

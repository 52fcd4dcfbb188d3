-- Grain: one row per round of run $run_id before the last: how good its messages are, and what a perfect choice
-- among them gains.
SELECT
    round,
    gaps.sets,
    gaps.problems,
    messages.accuracy AS message_accuracy,
    gaps.oracle,
    gaps.accuracy,
    gaps.gap
FROM mart_oracle_gap AS gaps
LEFT JOIN mart_message_accuracy AS messages USING (run_id, round)
WHERE run_id = $run_id
ORDER BY round

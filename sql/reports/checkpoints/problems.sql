-- Grain: one row per run in $run_ids, round that attempts problems with messages, and problem: as in
-- `mart_checkpoints`, with the words that mention references. `right_seen`, `all_wrong` and so on count episodes.
WITH spoken AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        any_value(words) AS words
    FROM reference_words
    GROUP BY run_id, round, problem_id, replicate, slot
)

SELECT
    run_id,
    round,
    message_run_id,
    of_problem_id AS problem_id,
    count(*)::BIGINT AS episodes,
    count(*) FILTER (is_right)::BIGINT AS "right",
    (sum(right_seen) / nullif(sum(seen), 0))::DOUBLE AS message_accuracy,
    count(*) FILTER (right_seen = 0)::BIGINT AS all_wrong,
    count(*) FILTER (right_seen = 0 AND is_right)::BIGINT AS found,
    count(words)::BIGINT AS spoken,
    coalesce(sum(words), 0)::DOUBLE AS words,
    count(*) FILTER (words > 0)::BIGINT AS speaking
FROM syntheses
LEFT JOIN spoken USING (run_id, round, problem_id, replicate, slot)
WHERE list_contains($run_ids, run_id) AND is_decided
GROUP BY run_id, round, message_run_id, of_problem_id
ORDER BY run_id, round, of_problem_id

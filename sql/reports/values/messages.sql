-- Grain: one row per message that run $run_id of `pacore value` has a value of, as in `mart_message_values`.
SELECT
    problem_id,
    replicate,
    position,
    trajectory_id,
    value,
    low,
    high,
    cost_tokens,
    more_generated_tokens,
    is_right,
    characters,
    messages,
    sets,
    episodes
FROM mart_message_values
WHERE run_id = $run_id
ORDER BY problem_id, replicate, position

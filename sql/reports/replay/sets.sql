-- Grain: one row per problem, replicate, round and slot of run $run_id: what rules about rounds are replayed over.
-- `answer_key`: its vote, null where it has no answer. `score`: null where nothing says what it is worth.
-- `has_message`: whether there could be a message in it; `is_shown`: whether its message is passed on.
SELECT
    current.problem_id,
    current.replicate,
    current.round,
    current.slot,
    given.answer_key,
    given.score,
    filled_slots.may_be_message AS has_message,
    messages.trajectory_id IS NOT NULL AS is_shown,
    current.completion_tokens,
    current.prompt_tokens,
    current.cached_prompt_tokens,
    current.latency_seconds
FROM trajectories AS current
JOIN filled_slots USING (run_id, round, problem_id, replicate, slot)
LEFT JOIN verdicts AS given USING (run_id, round, problem_id, replicate, slot, trajectory_id)
LEFT JOIN messages
    ON messages.run_id = current.run_id
    AND messages.round = current.round
    AND messages.problem_id = current.problem_id
    AND messages.replicate = current.replicate
    AND messages.trajectory_id = current.trajectory_id
WHERE current.run_id = $run_id
ORDER BY current.problem_id, current.replicate, current.round, current.slot

-- Grain: one row per problem and trajectory of round 1 of run $run_id that is evidence of the model, each once: what a
-- stopping rule is replayed over.
-- `answer_key`: its vote, null where it has no answer. `score`: null where nothing says what it is worth;
-- `conclusion` is given then.
SELECT
    current.problem_id,
    current.trajectory_id,
    min(current.draw)::INTEGER AS draw,
    max(given.answer_key) AS answer_key,
    max(given.score) AS score,
    bool_or(filled_slots.may_be_message) AS has_message,
    max(current.completion_tokens)::INTEGER AS completion_tokens,
    max(current.prompt_tokens)::INTEGER AS prompt_tokens,
    max(current.cached_prompt_tokens)::INTEGER AS cached_prompt_tokens,
    max(current.latency_seconds) AS latency_seconds,
    any_value(current.finish_reason) AS finish_reason,
    any_value(current.conclusion) FILTER (given.score IS NULL) AS conclusion
FROM trajectories AS current
JOIN filled_slots USING (run_id, round, problem_id, replicate, slot)
LEFT JOIN verdicts AS given USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE current.run_id = $run_id AND current.round = 1 AND current.is_evidence
GROUP BY current.problem_id, current.trajectory_id
ORDER BY current.problem_id, draw, current.trajectory_id

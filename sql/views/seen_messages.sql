-- Grain: one row per run, round, problem, replicate, slot and reference: which trajectory saw which
-- message. Each slot counts by its current attempt, where that was generated: an engine that failed, and a
-- prompt longer than the window, showed a model nothing.
-- `reference`: the message's number in the prompt, from 1; `position`: its place in M, the messages of the
-- round before; `message_id`: the trajectory it was made of.
SELECT
    reader.run_id,
    reader.round,
    reader.problem_id,
    reader.replicate,
    reader.slot,
    CASE
        WHEN reader.prompt_positions IS NULL THEN messages.position
        ELSE list_position(reader.prompt_positions, messages.position)
    END AS reference,
    messages.position,
    messages.trajectory_id AS message_id
FROM trajectories AS reader
JOIN messages
    ON messages.run_id = reader.run_id
    AND messages.round = reader.round - 1
    AND messages.problem_id = reader.problem_id
    AND messages.replicate = reader.replicate
WHERE
    reader.finish_reason IN ('stop', 'length')
    AND CASE
        WHEN reader.prompt_positions IS NULL
            THEN messages.position <= coalesce(reader.prompt_messages, messages.position)
        ELSE list_contains(reader.prompt_positions, messages.position)
    END

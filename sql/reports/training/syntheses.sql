-- Grain: one row per problem and trajectory of run $run_id that was sampled from a message set, each trajectory
-- once. Of all problems, or where $problem_ids is a list of those in it.
-- A run of several rounds has them in its rounds from 2 on. A run that was derived from pools has them in round 1:
-- `synthesis` of a problem's metadata has the `problem_id` it was derived from, and `messages`, the ids of M.
-- `message_ids`: the trajectories that the messages of its prompt were made of, in their order. `turns`: the prompt
-- in JSON; `is_exact`: whether its digest is the one that was recorded. `score` is null where nothing says what it
-- is worth.
WITH members AS (
    SELECT
        member.run_id,
        member.round,
        member.problem_id,
        member.replicate,
        member.slot,
        member.trajectory_id,
        member.text_run_id,
        member.conclusion,
        member.finish_reason,
        member.thinking_closed,
        member.completion_tokens,
        coalesce(
            json_extract_string(problems.metadata, '$.synthesis.problem_id'), member.problem_id
        ) AS of_problem_id,
        from_json(json_extract(problems.metadata, '$.synthesis.messages'), '["VARCHAR"]') AS derived_ids
    FROM trajectories AS member
    JOIN problems USING (run_id, problem_id)
    JOIN runs USING (run_id)
    WHERE
        member.run_id = $run_id
        AND member.finish_reason IN ('stop', 'length')
        AND runs.steps[member.round] = 'sample'
        AND (member.round > 1 OR derived_ids IS NOT NULL)
        AND (
            $problem_ids::VARCHAR[] IS NULL
            OR of_problem_id IN (SELECT unnest($problem_ids::VARCHAR[]))
        )
    QUALIFY row_number() OVER (
        PARTITION BY of_problem_id, member.trajectory_id
        ORDER BY member.round, member.problem_id, member.replicate, member.slot
    ) = 1
),

seen AS (
    SELECT run_id, round, problem_id, replicate, slot, list(message_id ORDER BY reference) AS ids
    FROM seen_messages
    WHERE run_id = $run_id
    GROUP BY run_id, round, problem_id, replicate, slot
)

SELECT
    members.of_problem_id AS problem_id,
    members.trajectory_id,
    members.round,
    coalesce(members.derived_ids, seen.ids, []) AS message_ids,
    to_json(prompts.turns)::VARCHAR AS turns,
    prompts.is_exact,
    texts.reasoning,
    members.conclusion,
    members.finish_reason,
    members.thinking_closed,
    graded.score,
    members.completion_tokens
FROM members
JOIN prompts USING (run_id, round, problem_id, replicate, slot)
LEFT JOIN seen USING (run_id, round, problem_id, replicate, slot)
LEFT JOIN trajectory_texts AS texts
    ON texts.run_id = members.text_run_id AND texts.trajectory_id = members.trajectory_id
LEFT JOIN verdicts AS graded
    ON graded.run_id = members.run_id
    AND graded.round = members.round
    AND graded.problem_id = members.problem_id
    AND graded.replicate = members.replicate
    AND graded.slot = members.slot
ORDER BY members.of_problem_id, members.round, members.trajectory_id

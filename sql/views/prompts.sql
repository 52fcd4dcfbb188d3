-- Grain: one row per run, round, problem, replicate and slot: the prompt that its current trajectory was sampled
-- from, as it was sent.
-- Assembled from the problem, the messages of the round before and the template of the round, as
-- `pacore.core.prompt` does it: the system prompt comes first unless the problem has its own, and one turn, the
-- last (of compaction `reference` the last of the user), is replaced by the template filled in. Round 1 has no
-- messages, and its turns are the problem's own.
-- Columns:
--   runs.run_id
--   trajectories.round
--   problems.problem_id
--   trajectories.replicate
--   trajectories.slot
--   trajectories.trajectory_id
--   messages INTEGER: How many messages of the round before are in it.
--   turns STRUCT("role" VARCHAR, "content" VARCHAR)[]: All turns in their order, each with role and content.
--   content VARCHAR: The turn that asks: in round 1 the question, later the template with question and messages.
--   trajectories.prompt_digest
--   is_exact BOOLEAN: Whether the digest of `turns` is `prompt_digest`, so that these are the very bytes.
WITH sets AS (
    SELECT
        run_id,
        round + 1 AS round,
        problem_id,
        replicate,
        list(text ORDER BY position) AS texts
    FROM messages
    GROUP BY run_id, round, problem_id, replicate
),

parts AS (
    SELECT
        standing.run_id,
        standing.round,
        standing.problem_id,
        standing.replicate,
        standing.slot,
        standing.trajectory_id,
        standing.prompt_digest,
        json_extract_string(runs.recipe, '$.system') AS system,
        from_json(problems.turns, '[{"role": "VARCHAR", "content": "VARCHAR"}]') AS given,
        CASE
            WHEN runs.compaction = 'reference' THEN coalesce(
                list_last(list_filter(range(1, len(given) + 1), lambda i: given[i].role = 'user')),
                len(given)
            )
            ELSE len(given)
        END AS observation,
        CASE
            WHEN standing.prompt_positions IS NULL
                THEN sets.texts[1:coalesce(standing.prompt_messages, len(sets.texts))]
            ELSE list_transform(standing.prompt_positions, lambda position: sets.texts[position])
        END AS shown,
        list_transform(
            getvariable('templates')[runs.steps[standing.round]],
            lambda part: replace(
                part, '{{ max_tokens }}', coalesce(runs.bound_tokens[standing.round]::VARCHAR, 'None')
            )
        ) AS template
    FROM trajectories AS standing
    JOIN runs USING (run_id)
    JOIN problems USING (run_id, problem_id)
    LEFT JOIN sets USING (run_id, round, problem_id, replicate)
),

filled AS (
    SELECT
        *,
        coalesce(len(shown), 0) AS messages,
        if(
            messages = 0,
            given[observation].content,
            template[1] || given[observation].content || template[2]
            || array_to_string(list_transform(
                shown,
                lambda text, i: replace(template[3], '{{ loop.index }}', i::VARCHAR) || text || template[4]
            ), '')
            || template[5]
        ) AS content
    FROM parts
),

sent AS (
    SELECT
        *,
        if(
            system IS NULL OR given[1].role = 'system',
            [],
            [{'role': 'system', 'content': system}]
        )
        || given[1:observation - 1]
        || [{'role': given[observation].role, 'content': content}]
        || given[observation + 1:] AS turns
    FROM filled
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    trajectory_id,
    messages::INTEGER AS messages,
    turns,
    content,
    prompt_digest,
    prompt_digest = sha256('[' || array_to_string(list_transform(
        turns,
        lambda turn: '{"content":' || json_string(turn.content)
            || ',"role":' || json_string(turn.role) || '}'
    ), ',') || ']') AS is_exact
FROM sent

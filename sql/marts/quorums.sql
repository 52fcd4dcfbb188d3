-- Grain: one row per run, round, problem and replicate that the round was begun for.
-- `need`: messages the set needs to go on, of `width` slots; `have`: those it has, null where answers
-- alone are messages and the set failed: its answer's `reason` says how many. `refills`: further
-- attempts made because the set was short; `retries`: those `pacore retry` asked for; `lost`: slots the
-- engine has failed to fill. `outcome`: `met`, `proceeded` with fewer, `waiting` for a resume to fill
-- what the engine lost, or `failed`.
WITH attempts AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        retry_of,
        finish_reason NOT IN ('rejected', 'engine_error', 'timeout', 'cancelled') AS finished
    FROM trajectories
),

slots AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        retry_of,
        greatest(0, count(*) FILTER (finished) - 1) AS refills
    FROM attempts
    GROUP BY ALL
),

tried AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        sum(refills)::BIGINT AS refills,
        count(retry_of) AS retries
    FROM slots
    GROUP BY ALL
),

stood AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        count(*) AS width,
        count(*) FILTER (
            finish_reason IN ('rejected', 'engine_error', 'timeout', 'cancelled')
        ) AS lost,
        count(*) FILTER (
            conclusion_status = 'present'
            OR (
                conclusion_status = 'truncated'
                AND runs.truncated = 'tail'
                AND runs.steps[round] = 'sample'
                AND round < runs.rounds
                AND reasoning_characters + content_characters > 0
            )
            OR (
                conclusion_status <> 'none'
                AND runs.compaction = 'reference'
                AND round < runs.rounds
                AND content_characters > 0
            )
            OR (
                conclusion_status = 'truncated'
                AND runs.bound_tokens[round] IS NOT NULL
                AND thinking_closed IS NULL
                AND content_characters > 0
            )
        ) AS conclusions
    FROM standing_trajectories
    JOIN runs USING (run_id)
    GROUP BY run_id, round, problem_id, replicate
),

went_on AS (
    SELECT run_id, round, problem_id, replicate, count(*) AS messages
    FROM messages
    GROUP BY run_id, round, problem_id, replicate
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    stood.width,
    runs.needed_messages[round] AS need,
    CASE
        WHEN went_on.run_id IS NOT NULL THEN went_on.messages
        WHEN runs.compaction <> 'answer' OR round = runs.rounds OR runs.steps[round] <> 'sample'
            THEN stood.conclusions
    END AS have,
    tried.refills,
    tried.retries,
    stood.lost,
    CASE
        WHEN went_on.run_id IS NULL AND stood.lost > 0 AND runs.status = 'open' THEN 'waiting'
        WHEN went_on.run_id IS NULL THEN 'failed'
        WHEN went_on.messages < need THEN 'proceeded'
        ELSE 'met'
    END AS outcome
FROM stood
JOIN runs USING (run_id)
JOIN tried USING (run_id, round, problem_id, replicate)
LEFT JOIN went_on USING (run_id, round, problem_id, replicate)
ORDER BY run_id, round, problem_id, replicate

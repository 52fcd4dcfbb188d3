-- Grain: one row per run, round, problem and replicate that began the round: the messages it has and needs.
-- Columns:
--   runs.run_id
--   trajectories.round
--   problems.problem_id
--   trajectories.replicate
--   width BIGINT: Slots of the set.
--   need INTEGER: Messages that the set needs for the next round.
--   have BIGINT: Messages it has; null where answers alone are messages and the set failed: how many is in the `reason`
--     of its answer.
--   refills BIGINT: Further attempts that were made because the set was short.
--   retries BIGINT: Slots that `pacore retry` has tried again.
--   lost BIGINT: Slots that the engine has failed to fill.
--   outcome VARCHAR: `met`, `proceeded` with fewer, `waiting` for a resume to fill what the engine lost, `failed`, or
--     `agreed`: its messages have given the answer, and no round follows.
WITH attempts AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        retry_of,
        is_finished(finish_reason) AS finished
    FROM all_trajectories
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
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    sets.width,
    sets.need,
    CASE
        WHEN sets.messages IS NOT NULL THEN sets.messages
        WHEN runs.compaction <> 'answer' OR round = runs.rounds OR runs.steps[round] <> 'sample'
            THEN sets.conclusions
    END AS have,
    tried.refills,
    tried.retries,
    sets.unfilled AS lost,
    CASE
        WHEN agreed.run_id IS NOT NULL THEN 'agreed'
        WHEN sets.messages IS NULL AND sets.unfilled > 0 AND runs.finished_at IS NULL THEN 'waiting'
        WHEN sets.messages IS NULL THEN 'failed'
        WHEN sets.messages < sets.need THEN 'proceeded'
        ELSE 'met'
    END AS outcome
FROM message_sets AS sets
JOIN runs USING (run_id)
JOIN tried USING (run_id, round, problem_id, replicate)
LEFT JOIN agreed USING (run_id, round, problem_id, replicate)
ORDER BY run_id, round, problem_id, replicate

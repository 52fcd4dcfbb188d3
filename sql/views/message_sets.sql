-- Grain: one row per run, round, problem and replicate that began the round: what its slots contain.
-- `width` slots, of which `unfilled` were not filled by the engine, `aborted` were not needed, and `silent` are no evidence of the model
-- (`is_evidence` of `trajectories`); `need`: messages the set needs for the next round while no slot is open.
-- `conclusions` of them could be messages, where answers alone are those that may have one; `messages`: those
-- of the set, null where there is no next round for it. Its slots have `seeds` different seeds.
WITH slots AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        count(*) AS width,
        count(*) FILTER (NOT is_filled) AS unfilled,
        count(*) FILTER (is_aborted) AS aborted,
        count(*) FILTER (NOT is_evidence) AS silent,
        count(*) FILTER (may_be_message) AS conclusions,
        count(DISTINCT seed) AS seeds
    FROM filled_slots
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
    slots.width,
    slots.unfilled,
    slots.aborted,
    slots.silent,
    runs.needed_messages[round] AS need,
    slots.conclusions,
    slots.seeds,
    went_on.messages
FROM slots
JOIN runs USING (run_id)
LEFT JOIN went_on USING (run_id, round, problem_id, replicate)

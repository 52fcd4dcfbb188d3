-- Grain: one row per run, problem and replicate that the run's plan has, ended or not: what became of the answer.
-- A replicate that ended without an answer is `lost` where the round it ended in has slots that are no evidence
-- of the model, and messages in their place could have met the quorum. Where they could not,
-- the model is what failed: its trajectories were cut, were empty or had no answer in them.
-- Columns:
--   runs.run_id
--   problems.problem_id
--   trajectories.replicate
--   status VARCHAR: Status of its row in `answers`; null while there is none.
--   ended_in INTEGER: The round it ended in; null while it has not ended.
--   outcome VARCHAR: `answered`; `no_answer` where the model gave none; `lost` where something else prevented it;
--     `pending` while it has not ended.
--   is_evidence BOOLEAN: Whether it is evidence of the model, `answered` or `no_answer`, and so is scored.

-- Only this file decides which ends without an answer are the model's.
WITH planned AS (
    SELECT problems.run_id, problems.problem_id, numbers.replicate::INTEGER AS replicate
    FROM problems
    JOIN runs USING (run_id)
    CROSS JOIN unnest(range(runs.replicates)) AS numbers (replicate)
),

ended AS (
    SELECT
        answers.run_id,
        answers.problem_id,
        answers.replicate,
        answers.status,
        coalesce(answers.failed_round, agreed_in, runs.rounds) AS round,
        if(runs.on_shortfall = 'proceed', 1, runs.needed_messages[round]) AS need
    FROM answers
    JOIN runs USING (run_id)
    LEFT JOIN (
        SELECT run_id, problem_id, replicate, round AS agreed_in FROM agreed
    ) AS agreed USING (run_id, problem_id, replicate)
),

-- Few end without an answer, and only their slots are counted: `need` messages, of which `conclusions` slots
-- could have one and `silent` ones say nothing of the model.
sets AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        count(*) FILTER (NOT is_evidence) AS silent,
        count(*) FILTER (may_be_message) AS conclusions
    FROM filled_slots
    SEMI JOIN (SELECT * FROM ended WHERE status <> 'answered') AS unanswered
        USING (run_id, round, problem_id, replicate)
    GROUP BY run_id, round, problem_id, replicate
)

SELECT
    planned.run_id,
    planned.problem_id,
    planned.replicate,
    ended.status,
    ended.round AS ended_in,
    CASE
        WHEN ended.status IS NULL THEN 'pending'
        WHEN ended.status = 'answered' THEN 'answered'
        WHEN coalesce(sets.silent, 1) > 0
            AND coalesce(sets.conclusions + sets.silent >= ended.need, true)
            THEN 'lost'
        ELSE 'no_answer'
    END AS outcome,
    outcome IN ('answered', 'no_answer') AS is_evidence
FROM planned
LEFT JOIN ended USING (run_id, problem_id, replicate)
LEFT JOIN sets
    ON sets.run_id = ended.run_id
    AND sets.round = ended.round
    AND sets.problem_id = ended.problem_id
    AND sets.replicate = ended.replicate

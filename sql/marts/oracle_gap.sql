-- Grain: one row per run and round before the last, of a graded run: what a perfect choice among
-- the messages would have gained.
-- All three shares are means over problems of the means over replicates.
-- Columns:
--   runs.run_id
--   trajectories.round
--   sets BIGINT: Message sets whose answer has a score and all of whose messages have a verdict.
--   problems BIGINT: Problems with such a set.
--   oracle DOUBLE in [0, 1]: Share of the sets with at least one correct message (pass@K of the message set).
--   accuracy DOUBLE in [0, 1]: Mean score of the answers that were made from these very sets.
--   gap DOUBLE in [-1, 1]: `oracle` less `accuracy`.
WITH sets AS (
    SELECT
        messages.run_id,
        messages.round,
        messages.problem_id,
        messages.replicate,
        bool_or(graded.verdict = 'correct') AS has_correct,
        count(*) = count(graded.score) AS is_decided
    FROM messages
    JOIN runs USING (run_id)
    LEFT JOIN verdicts AS graded
        USING (run_id, round, problem_id, replicate, trajectory_id)
    WHERE messages.round < runs.rounds
    GROUP BY messages.run_id, messages.round, messages.problem_id, messages.replicate
),

by_problem AS (
    SELECT
        run_id,
        round,
        problem_id,
        count(*) AS sets,
        avg(has_correct::INTEGER) AS oracle,
        avg(scores.score) AS accuracy
    FROM sets
    JOIN scores USING (run_id, problem_id, replicate)
    WHERE is_decided AND scores.score IS NOT NULL
    GROUP BY run_id, round, problem_id
)

SELECT
    run_id,
    round,
    sum(sets)::BIGINT AS sets,
    count(*) AS problems,
    avg(oracle) AS oracle,
    avg(accuracy) AS accuracy,
    avg(oracle) - avg(accuracy) AS gap
FROM by_problem
GROUP BY run_id, round
ORDER BY run_id, round

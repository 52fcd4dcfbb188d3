-- Grain: one row per round and problem of run $run_id: words that mention references, as in `mart_words`.
SELECT
    round,
    problem_id,
    count(*) AS trajectories,
    count(*) FILTER (words > 0) AS speaking,
    sum(words)::BIGINT AS words,
    sum(characters)::BIGINT AS characters,
    sum(capitalised)::BIGINT AS capitalised
FROM reference_words
WHERE run_id = $run_id
GROUP BY round, problem_id
ORDER BY round, problem_id

-- Grain: one row per run: how many texts of 200 characters or more lack the evidence, and of how many.
-- A server that ignores the seed, or answers from a cache, gives one text many times. Texts of 200 characters are not
-- sampled twice by chance at a temperature above 0; shorter ones are, and are not looked at. Equal are those of one
-- length in tokens, thoughts and content with one conclusion. Two of a large set may have that by chance, so that
-- only those count that are half of their set.
SELECT
    run_id,
    'observed' AS part,
    'copies' AS rule,
    1 AS version,
    'no text of a set is a copy of another' AS says,
    'copies of another text in' AS lack,
    'texts of 200 characters or more' AS unit,
    0.05::DOUBLE AS allowed,
    sum(if(2 * most >= texts, most - 1, 0))::BIGINT AS lacking,
    sum(texts)::BIGINT AS total
FROM (
    SELECT run_id, sum(texts) AS texts, max(texts) AS most
    FROM (
        SELECT run_id, round, problem_id, replicate, count(*) AS texts
        FROM trajectories
        JOIN runs USING (run_id)
        WHERE
            finish_reason = 'stop'
            AND reasoning_characters + content_characters >= 200
            AND coalesce(json_extract(runs.recipe, '$.temperature')::DOUBLE, 1) > 0
        GROUP BY
            run_id,
            round,
            problem_id,
            replicate,
            completion_tokens,
            reasoning_characters,
            content_characters,
            hash(conclusion)
    )
    GROUP BY run_id, round, problem_id, replicate
    HAVING sum(texts) > 1
)
GROUP BY run_id

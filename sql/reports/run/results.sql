-- Grain: one row per problem of run $run_id, in the order of its file, the first $rows of them. Answers of replicates
-- are side by side, cut; `tokens` is the effective TTC of all replicates together.
WITH shown AS (
    SELECT problem_id, gold, position
    FROM problems
    WHERE run_id = $run_id
    ORDER BY position NULLS LAST, problem_id
    LIMIT $rows
),

ended AS (
    SELECT
        answers.problem_id,
        string_agg(
            CASE answers.status
                WHEN 'answered' THEN left(answers.answer, 200)
                WHEN 'failed' THEN '– failed'
                ELSE '– no answer'
            END,
            ' | '
            ORDER BY answers.replicate
        ) AS answer,
        max(scores.gold) AS gold,
        avg(scores.score) AS accuracy
    FROM answers
    SEMI JOIN shown USING (problem_id)
    LEFT JOIN scores USING (run_id, problem_id, replicate)
    WHERE answers.run_id = $run_id
    GROUP BY answers.problem_id
),

spent AS (
    SELECT
        problem_id,
        sum(trajectories)::BIGINT AS trajectories,
        sum(effective_tokens)::BIGINT AS tokens
    FROM mart_ttc
    SEMI JOIN shown USING (problem_id)
    WHERE run_id = $run_id
    GROUP BY problem_id
)

SELECT
    shown.problem_id AS problem,
    left(ended.answer, 500) AS answer,
    left(coalesce(ended.gold, shown.gold), 500) AS gold,
    ended.accuracy,
    coalesce(spent.trajectories, 0) AS trajectories,
    spent.tokens
FROM shown
LEFT JOIN ended USING (problem_id)
LEFT JOIN spent USING (problem_id)
ORDER BY shown.position NULLS LAST, shown.problem_id

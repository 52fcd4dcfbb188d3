-- Grain: one row per problem of run $run_id, in the order of its file, the first $rows of them. `answer` are the
-- answers of its replicates, cut: distinct ones, the most frequent first, with how many replicates give each
-- where there are several, and $answers of them at most; equal are those with one key of the current grading.
-- `correct` of the `scored` answers are right; `tokens` is the effective TTC of all replicates together.
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
        answers.replicate,
        CASE answers.status
            WHEN 'answered' THEN left(answers.answer, 200)
            WHEN 'failed' THEN '– failed'
            ELSE '– no answer'
        END AS answer,
        scores.gold,
        scores.score,
        scores.verdict = 'correct' AS is_correct,
        if(answers.status = 'answered', coalesce(graded.answer_key, answers.answer), NULL) AS answer_key
    FROM answers
    SEMI JOIN shown USING (problem_id)
    LEFT JOIN scores USING (run_id, problem_id, replicate)
    LEFT JOIN verdicts AS graded
        ON graded.run_id = answers.run_id
        AND graded.problem_id = answers.problem_id
        AND graded.replicate = answers.replicate
        AND graded.trajectory_id = scores.trajectory_id
        AND graded.round = (SELECT rounds FROM runs WHERE run_id = $run_id)
    WHERE answers.run_id = $run_id
),

kinds AS (
    SELECT
        problem_id,
        arg_min(answer, replicate) AS answer,
        count(*) AS replicates,
        row_number() OVER (
            PARTITION BY problem_id
            ORDER BY count(*) DESC, answer_key IS NULL, min(replicate)
        ) AS place
    FROM ended
    GROUP BY problem_id, answer_key, if(answer_key IS NULL, answer, NULL)
),

said AS (
    SELECT
        problem_id,
        string_agg(
            if(runs.replicates = 1, kinds.answer, concat(left(kinds.answer, 40), ' ×', kinds.replicates)),
            ', '
            ORDER BY place
        ) FILTER (place <= $answers) AS answer,
        count(*) FILTER (place > $answers) AS others
    FROM kinds
    CROSS JOIN (SELECT replicates FROM runs WHERE run_id = $run_id) AS runs
    GROUP BY problem_id
),

graded AS (
    SELECT
        problem_id,
        max(gold) AS gold,
        count(*) FILTER (is_correct) AS correct,
        count(score) AS scored,
        avg(score) AS accuracy
    FROM ended
    GROUP BY problem_id
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
    left(concat(
        said.answer,
        CASE WHEN said.others = 1 THEN ', 1 other' WHEN said.others > 1 THEN concat(', ', said.others, ' others') END
    ), 500) AS answer,
    left(coalesce(graded.gold, shown.gold), 500) AS gold,
    coalesce(graded.correct, 0) AS correct,
    coalesce(graded.scored, 0) AS scored,
    graded.accuracy,
    coalesce(spent.trajectories, 0) AS trajectories,
    spent.tokens
FROM shown
LEFT JOIN said USING (problem_id)
LEFT JOIN graded USING (problem_id)
LEFT JOIN spent USING (problem_id)
ORDER BY shown.position NULLS LAST, shown.problem_id

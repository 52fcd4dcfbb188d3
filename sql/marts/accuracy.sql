-- Grain: one row per run.
-- `score`: mean over problems of the mean over a problem's scored replicates (pass@1); null where
-- nothing is scored. Answers without a score are left out of it, so it is read beside `scored` and
-- the rates, which are shares of the `answers` there are so far. `truncated`, `empty` and `unparsed`
-- finals, a text in which nothing reads as an answer, are the parts of `no_answer`; `ungraded` answers have no score, for want of a gold answer or of a verdict.
WITH finals AS (
    SELECT
        answers.run_id,
        answers.problem_id,
        answers.replicate,
        answers.status,
        last_round.conclusion_status,
        scores.score
    FROM answers
    JOIN runs USING (run_id)
    LEFT JOIN standing_trajectories AS last_round
        ON last_round.run_id = answers.run_id
        AND last_round.round = runs.rounds
        AND last_round.problem_id = answers.problem_id
        AND last_round.replicate = answers.replicate
        AND last_round.trajectory_id = answers.trajectory_id
    LEFT JOIN scores
        ON scores.run_id = answers.run_id
        AND scores.problem_id = answers.problem_id
        AND scores.replicate = answers.replicate
),

by_problem AS (
    SELECT
        run_id,
        problem_id,
        avg(score) AS score,
        count(*) AS answers,
        count(score) AS scored,
        count(*) FILTER (conclusion_status = 'truncated') AS truncated,
        count(*) FILTER (conclusion_status = 'empty') AS empty,
        count(*) FILTER (status = 'no_answer' AND conclusion_status = 'present') AS unparsed,
        count(*) FILTER (status = 'no_answer') AS no_answer,
        count(*) FILTER (status = 'failed') AS failed
    FROM finals
    GROUP BY run_id, problem_id
),

by_run AS (
    SELECT
        run_id,
        avg(score) AS score,
        sum(answers) AS answers,
        sum(scored) AS scored,
        sum(truncated) AS truncated,
        sum(empty) AS empty,
        sum(unparsed) AS unparsed,
        sum(no_answer) AS no_answer,
        sum(failed) AS failed
    FROM by_problem
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.problems,
    runs.replicates,
    coalesce(by_run.answers, 0)::BIGINT AS answers,
    coalesce(by_run.scored, 0)::BIGINT AS scored,
    by_run.score,
    by_run.truncated / nullif(by_run.answers, 0) AS truncated_rate,
    by_run.empty / nullif(by_run.answers, 0) AS empty_rate,
    by_run.unparsed / nullif(by_run.answers, 0) AS unparsed_rate,
    by_run.no_answer / nullif(by_run.answers, 0) AS no_answer_rate,
    by_run.failed / nullif(by_run.answers, 0) AS failed_rate,
    (by_run.answers - by_run.scored) / nullif(by_run.answers, 0) AS ungraded_rate
FROM runs
LEFT JOIN by_run USING (run_id)
ORDER BY runs.run_id

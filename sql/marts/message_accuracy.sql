-- Grain: one row per run and round of a graded run: how good the messages are that the round hands on. Of
-- the last round these are the answers.
-- `step` is what the round does. `messages` it made, `judged` ones have a score. `accuracy`: mean over
-- problems of the mean score of a problem's judged messages, over its replicates. A message is judged by the
-- trajectory it was made of; where that was cut and its end kept, there is no answer in it. The rates are
-- shares of `messages`: `no_answer_rate` of those in which no answer was found, which score 0; `timeout_rate`
-- and `crash_rate` of gradings that broke off, `unjudged_rate` of messages without a verdict, which all have
-- no score.
WITH judged AS (
    SELECT
        messages.run_id,
        messages.round,
        messages.problem_id,
        graded.verdict,
        graded.score
    FROM messages
    LEFT JOIN standing_verdicts AS graded
        USING (run_id, round, problem_id, replicate, trajectory_id)
    WHERE EXISTS (
        SELECT 1
        FROM gradings
        WHERE gradings.run_id = messages.run_id AND gradings.stands AND gradings.sequence > 0
    )
),

by_problem AS (
    SELECT
        run_id,
        round,
        problem_id,
        count(*) AS messages,
        count(score) AS judged,
        avg(score) AS score,
        count(*) FILTER (verdict = 'no_answer') AS no_answer,
        count(*) FILTER (verdict = 'timeout') AS timeout,
        count(*) FILTER (verdict = 'crash') AS crash,
        count(*) FILTER (verdict IS NULL) AS unjudged
    FROM judged
    GROUP BY run_id, round, problem_id
)

SELECT
    run_id,
    round,
    any_value(runs.steps[round]) AS step,
    sum(by_problem.messages)::BIGINT AS messages,
    sum(by_problem.judged)::BIGINT AS judged,
    count(by_problem.score) AS problems,
    avg(by_problem.score) AS accuracy,
    sum(by_problem.no_answer) / nullif(sum(by_problem.messages), 0) AS no_answer_rate,
    sum(by_problem.timeout) / nullif(sum(by_problem.messages), 0) AS timeout_rate,
    sum(by_problem.crash) / nullif(sum(by_problem.messages), 0) AS crash_rate,
    sum(by_problem.unjudged) / nullif(sum(by_problem.messages), 0) AS unjudged_rate
FROM by_problem
JOIN runs USING (run_id)
GROUP BY run_id, round
ORDER BY run_id, round

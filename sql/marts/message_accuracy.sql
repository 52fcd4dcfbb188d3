-- Grain: one row per run and round of a graded run: how good the messages are that the round makes. Of
-- the last round these are the answers.
-- `step` is what the round does. `messages` it made, `judged` ones have a score. `accuracy`: mean over
-- problems of the mean score of a problem's judged messages, over its replicates. A message is judged by the
-- trajectory it was made of; where that was cut and its end kept, there is no answer in it. The rates are
-- shares of `messages`: `no_answer_rate` of those in which no answer was found, which score 0; `timeout_rate`
-- and `crash_rate` of gradings that ended so, `unjudged_rate` of messages without a verdict, which all have
-- no score.
SELECT
    run_id,
    round,
    any_value(runs.steps[round]) AS step,
    sum(found.messages)::BIGINT AS messages,
    sum(found.judged)::BIGINT AS judged,
    count(found.score) AS problems,
    avg(found.score) AS accuracy,
    sum(found.no_answer) / nullif(sum(found.messages), 0) AS no_answer_rate,
    sum(found.timeout) / nullif(sum(found.messages), 0) AS timeout_rate,
    sum(found.crash) / nullif(sum(found.messages), 0) AS crash_rate,
    sum(found.unjudged) / nullif(sum(found.messages), 0) AS unjudged_rate
FROM message_scores AS found
JOIN runs USING (run_id)
GROUP BY run_id, round
ORDER BY run_id, round

-- Grain: one row per run and round of a graded run: how good the messages are that the round makes.
-- Of the last round these are the answers. A message is judged by the trajectory it was made of; where that was
-- cut and its end kept, there is no answer in it.
-- Columns:
--   runs.run_id
--   trajectories.round
--   step VARCHAR: What the round does: `sample`, `condense` or `distill`.
--   messages BIGINT: Messages that the round made.
--   judged BIGINT: Those that have a score.
--   problems BIGINT: Problems with a judged message.
--   accuracy DOUBLE in [0, 1]: Mean over problems of the mean score of a problem's judged messages, over its
--     replicates.
--   no_answer_rate DOUBLE in [0, 1]: Share of the messages in which no answer was found, which score 0.
--   timeout_rate DOUBLE in [0, 1]: Share whose grading took too long, which have no score.
--   crash_rate DOUBLE in [0, 1]: Share whose grading crashed, which have no score.
--   unjudged_rate DOUBLE in [0, 1]: Share without a verdict.
SELECT
    run_id,
    round,
    any_value(runs.steps[round]) AS step,
    sum(found.messages)::BIGINT AS messages,
    sum(found.judged)::BIGINT AS judged,
    count(found.accuracy) AS problems,
    avg(found.accuracy) AS accuracy,
    sum(found.no_answer) / nullif(sum(found.messages), 0) AS no_answer_rate,
    sum(found.timeout) / nullif(sum(found.messages), 0) AS timeout_rate,
    sum(found.crash) / nullif(sum(found.messages), 0) AS crash_rate,
    sum(found.unjudged) / nullif(sum(found.messages), 0) AS unjudged_rate
FROM message_scores AS found
JOIN runs USING (run_id)
GROUP BY run_id, round
ORDER BY run_id, round

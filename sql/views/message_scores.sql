-- Grain: one row per run, round and problem of a graded run: the verdicts on the messages the round makes,
-- over all replicates.
-- A message is judged by the trajectory it was made of. `messages` there are, `judged` ones have a score and
-- `accuracy` is their mean score; `no_answer`, `timeout` and `crash` count verdicts, `unjudged` messages without one.
SELECT
    messages.run_id,
    messages.round,
    messages.problem_id,
    count(*) AS messages,
    count(graded.score) AS judged,
    avg(graded.score) AS accuracy,
    count(*) FILTER (graded.verdict = 'no_answer') AS no_answer,
    count(*) FILTER (graded.verdict = 'timeout') AS timeout,
    count(*) FILTER (graded.verdict = 'crash') AS crash,
    count(*) FILTER (graded.verdict IS NULL) AS unjudged
FROM messages
SEMI JOIN graded_runs USING (run_id)
LEFT JOIN verdicts AS graded
    USING (run_id, round, problem_id, replicate, trajectory_id)
GROUP BY messages.run_id, messages.round, messages.problem_id

-- Grain: one row per run and round: its accuracy, its tokens, and how its trajectories ended.
-- Counts are of slots, each by its current attempt. The accuracy is that of all graded trajectories of the
-- round, with a message or without; `mart_message_accuracy` has that of the messages, `mart_accuracy` that of the
-- run, which counts the replicates that ended before the last round too. Before `pacore grade` or
-- `pacore evaluate` only the last round is graded.
-- Columns:
--   runs.run_id
--   trajectories.round
--   accuracy DOUBLE in [0, 1]: Mean over problems of the mean score of a problem's trajectories; null where none has
--     a score.
--   scored BIGINT: Trajectories with a score, which `accuracy` is of.
--   trajectories BIGINT: Slots of the round, over all problems and replicates.
--   reused BIGINT: Of these the ones that the store had already.
--   attempts BIGINT: Attempts, those that were replaced included.
--   completion_tokens BIGINT in tokens: Tokens of the trajectories; those that nobody counted are left out.
--   mean_completion_tokens DOUBLE in tokens: Mean length of a trajectory that was not aborted.
--   prompt_tokens BIGINT in tokens: Tokens of their prompts.
--   wasted_tokens BIGINT in tokens: What this run's broken tries and the attempts it gave up cost.
--   conclusions BIGINT: Trajectories with a conclusion.
--   stop BIGINT: Trajectories that the model ended.
--   length BIGINT: Trajectories that were cut at a limit.
--   context_overflow BIGINT: Trajectories whose prompt did not fit the window.
--   rejected BIGINT: Trajectories whose request the server refused.
--   engine_error BIGINT: Trajectories that failed in the engine.
--   timeout BIGINT: Trajectories that took too long.
--   cancelled BIGINT: Trajectories that were not sent, as the budget of their problem was spent.
--   aborted BIGINT: Trajectories that were not needed, as a rule had decided their set: aborted, or never sent.
WITH placed AS (
    SELECT
        *,
        attempt = max(attempt) OVER (
            PARTITION BY run_id, round, problem_id, replicate, slot
        ) AS stands
    FROM all_trajectories
),

graded AS (
    SELECT run_id, round, avg(accuracy) AS accuracy, sum(scored)::BIGINT AS scored
    FROM (
        SELECT run_id, round, problem_id, avg(score) AS accuracy, count(score) AS scored
        FROM verdicts
        GROUP BY run_id, round, problem_id
    )
    GROUP BY run_id, round
)

SELECT
    run_id,
    round,
    any_value(graded.accuracy) AS accuracy,
    coalesce(any_value(graded.scored), 0) AS scored,
    count(*) FILTER (stands) AS trajectories,
    count(*) FILTER (stands AND reused) AS reused,
    count(*) AS attempts,
    (sum(completion_tokens) FILTER (stands))::BIGINT AS completion_tokens,
    avg(completion_tokens) FILTER (stands AND finish_reason <> 'aborted') AS mean_completion_tokens,
    (sum(prompt_tokens) FILTER (stands))::BIGINT AS prompt_tokens,
    sum(
        CASE
            WHEN reused THEN 0
            WHEN stands THEN wasted_tokens
            ELSE wasted_tokens + coalesce(completion_tokens, 0)
        END
    )::BIGINT AS wasted_tokens,
    count(*) FILTER (stands AND conclusion_status = 'present') AS conclusions,
    count(*) FILTER (stands AND finish_reason = 'stop') AS stop,
    count(*) FILTER (stands AND finish_reason = 'length') AS length,
    count(*) FILTER (stands AND finish_reason = 'context_overflow') AS context_overflow,
    count(*) FILTER (stands AND finish_reason = 'rejected') AS rejected,
    count(*) FILTER (stands AND finish_reason = 'engine_error') AS engine_error,
    count(*) FILTER (stands AND finish_reason = 'timeout') AS timeout,
    count(*) FILTER (stands AND finish_reason = 'cancelled') AS cancelled,
    count(*) FILTER (stands AND finish_reason = 'aborted') AS aborted
FROM placed
LEFT JOIN graded USING (run_id, round)
GROUP BY run_id, round
ORDER BY run_id, round

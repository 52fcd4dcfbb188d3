-- Grain: one row per run and round. Counts are of slots, each by its current attempt.
-- `wasted_tokens`: what this run's broken tries and the attempts it gave up cost.
WITH placed AS (
    SELECT
        *,
        attempt = max(attempt) OVER (
            PARTITION BY run_id, round, problem_id, replicate, slot
        ) AS stands
    FROM all_trajectories
),

graded AS (
    SELECT run_id, round, avg(score) AS accuracy, sum(scored)::BIGINT AS scored
    FROM (
        SELECT run_id, round, problem_id, avg(score) AS score, count(score) AS scored
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
    avg(completion_tokens) FILTER (stands) AS mean_completion_tokens,
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
    count(*) FILTER (stands AND finish_reason = 'cancelled') AS cancelled
FROM placed
LEFT JOIN graded USING (run_id, round)
GROUP BY run_id, round
ORDER BY run_id, round

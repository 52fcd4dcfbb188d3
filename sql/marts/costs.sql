-- Grain: one row per run: its money, by the price table that was given (`--prices`), and its seconds in the engine.
-- Money is null without a table, for a model that it does not have, and where tokens were not counted. Prompt tokens that
-- the server had in its cache count at their own price, none where it does not report them.
-- Columns:
--   runs.run_id
--   runs.model
--   prices.currency
--   effective_money DOUBLE in currency: What all current trajectories cost, each place of one counted.
--   effective_money_per_answer DOUBLE in currency: The same by answer, of those the model gave or could have given: a
--     replicate that something else ended early is no cheap answer.
--   marginal_money DOUBLE in currency: What this run itself paid for, attempts given up and broken tries included, each
--     generation once.
--   engine_seconds DOUBLE in seconds: Latencies of all current trajectories, as in `mart_ttc`: how long places of the
--     engine were taken, many at a time; null where some are not known.
--   engine_seconds_per_answer DOUBLE in seconds: The same by answer, of those of `effective_money_per_answer`.
--   busy_seconds DOUBLE in seconds: How long the engine had at least one of these trajectories in flight: times its GPUs,
--     the GPU-seconds of an engine that served nothing else; null as `engine_seconds`.
WITH priced AS (
    SELECT
        tried.run_id,
        tried.problem_id,
        tried.replicate,
        tried.trajectory_id,
        tried.reused,
        tried.attempt = max(tried.attempt) OVER (
            PARTITION BY
                tried.run_id,
                tried.round,
                tried.problem_id,
                tried.replicate,
                tried.slot
        ) AS stands,
        prices.currency,
        tried.finish_reason IN ('stop', 'length')
        AND (
            tried.completion_tokens IS NULL OR tried.prompt_tokens IS NULL
        ) AS is_uncounted,
        (
            (
                coalesce(tried.prompt_tokens, 0)
                - coalesce(tried.cached_prompt_tokens, 0)
            ) * prices.prompt_per_million
            + coalesce(tried.cached_prompt_tokens, 0) * prices.cached_prompt_per_million
            + coalesce(tried.completion_tokens, 0) * prices.completion_per_million
        ) * 1e-6 AS money,
        tried.wasted_tokens * prices.completion_per_million * 1e-6 AS wasted_money
    FROM all_trajectories AS tried
    JOIN runs USING (run_id)
    JOIN prices USING (model)
),

paths AS (
    SELECT
        run_id,
        max(currency) AS currency,
        if(bool_or(is_uncounted), NULL, sum(money) FILTER (stands)) AS money,
        if(
            bool_or(is_uncounted),
            NULL,
            sum(money) FILTER (stands AND outcomes.is_evidence)
        ) AS answers_money,
        count(DISTINCT (problem_id, replicate)) FILTER (outcomes.is_evidence)
            AS answers
    FROM priced
    JOIN outcomes USING (run_id, problem_id, replicate)
    GROUP BY run_id
),

generated AS (
    SELECT run_id, if(bool_or(is_uncounted), NULL, sum(money + wasted_money)) AS money
    FROM (
        SELECT
            run_id,
            trajectory_id,
            max(money) AS money,
            max(wasted_money) AS wasted_money,
            bool_or(is_uncounted) AS is_uncounted
        FROM priced
        WHERE NOT reused
        GROUP BY run_id, trajectory_id
    )
    GROUP BY run_id
),

flights AS (
    SELECT
        run_id,
        ended,
        greatest(began, max(ended) OVER (
            PARTITION BY run_id
            ORDER BY began
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )) AS began
    FROM (
        SELECT
            run_id,
            epoch(generated_at) AS ended,
            epoch(generated_at) - latency_seconds AS began
        FROM trajectories
        WHERE latency_seconds > 0
    )
),

busy AS (
    SELECT run_id, sum(greatest(0, ended - began)) AS seconds
    FROM flights
    GROUP BY run_id
),

timed AS (
    SELECT
        run_id,
        if(count(engine_seconds) = count(*), sum(engine_seconds), NULL) AS seconds,
        if(
            bool_or(engine_seconds IS NULL AND outcomes.is_evidence),
            NULL,
            avg(engine_seconds) FILTER (outcomes.is_evidence)
        ) AS seconds_per_answer
    FROM mart_ttc
    JOIN outcomes USING (run_id, problem_id, replicate)
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.model,
    paths.currency,
    paths.money AS effective_money,
    paths.answers_money / nullif(paths.answers, 0) AS effective_money_per_answer,
    if(paths.run_id IS NULL, NULL, coalesce(generated.money, if(generated.run_id IS NULL, 0, NULL)))
        AS marginal_money,
    timed.seconds AS engine_seconds,
    timed.seconds_per_answer AS engine_seconds_per_answer,
    if(timed.seconds IS NULL, NULL, coalesce(busy.seconds, 0)) AS busy_seconds
FROM runs
LEFT JOIN paths USING (run_id)
LEFT JOIN generated USING (run_id)
LEFT JOIN timed USING (run_id)
LEFT JOIN busy USING (run_id)
ORDER BY runs.run_id

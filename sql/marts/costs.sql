-- Grain: one row per run. Money by the price table that was given (`--prices`), in its `currency`; null
-- without one, for a model that it does not have, and where tokens were not counted.
-- `effective_money`: what all trajectories on the paths of the answers cost, each place of one counted;
-- `effective_money_per_answer`: the same for an answer; `marginal_money`: what this run itself paid for,
-- attempts given up and broken tries included, each generation once. Prompt tokens that the server had in
-- its cache count at their own price, none where it does not say.
WITH priced AS (
    SELECT
        trajectories.run_id,
        trajectories.problem_id,
        trajectories.replicate,
        trajectories.trajectory_id,
        trajectories.reused,
        trajectories.attempt = max(trajectories.attempt) OVER (
            PARTITION BY
                trajectories.run_id,
                trajectories.round,
                trajectories.problem_id,
                trajectories.replicate,
                trajectories.slot
        ) AS stands,
        prices.currency,
        trajectories.finish_reason IN ('stop', 'length')
        AND (
            trajectories.completion_tokens IS NULL OR trajectories.prompt_tokens IS NULL
        ) AS is_uncounted,
        (
            (
                coalesce(trajectories.prompt_tokens, 0)
                - coalesce(trajectories.cached_prompt_tokens, 0)
            ) * prices.prompt_per_million
            + coalesce(trajectories.cached_prompt_tokens, 0) * prices.cached_prompt_per_million
            + coalesce(trajectories.completion_tokens, 0) * prices.completion_per_million
        ) * 1e-6 AS money,
        trajectories.wasted_tokens * prices.completion_per_million * 1e-6 AS wasted_money
    FROM trajectories
    JOIN runs USING (run_id)
    JOIN prices USING (model)
),

paths AS (
    SELECT
        run_id,
        any_value(currency) AS currency,
        if(bool_or(is_uncounted), NULL, sum(money) FILTER (stands)) AS money,
        count(DISTINCT (problem_id, replicate)) AS answers
    FROM priced
    GROUP BY run_id
),

generated AS (
    SELECT run_id, if(bool_or(is_uncounted), NULL, sum(money + wasted_money)) AS money
    FROM (
        SELECT
            run_id,
            trajectory_id,
            any_value(money) AS money,
            any_value(wasted_money) AS wasted_money,
            bool_or(is_uncounted) AS is_uncounted
        FROM priced
        WHERE NOT reused
        GROUP BY run_id, trajectory_id
    )
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.model,
    paths.currency,
    paths.money AS effective_money,
    paths.money / nullif(paths.answers, 0) AS effective_money_per_answer,
    if(paths.run_id IS NULL, NULL, coalesce(generated.money, if(generated.run_id IS NULL, 0, NULL)))
        AS marginal_money
FROM runs
LEFT JOIN paths USING (run_id)
LEFT JOIN generated USING (run_id)
ORDER BY runs.run_id

-- Grain: one row per run, problem and replicate.
-- `effective_tokens`: generated tokens on the path of the answer, all rounds, the final one
-- included; every slot counts by the attempt that stands, so tries given up are left out.
-- `marginal_tokens`: tokens this run generated itself, attempts given up included. A trajectory
-- that stands in several places of a run was generated once, and counts in the first of them.
-- `uncounted` trajectories finished, but nobody counted their tokens.
WITH paths AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        sum(completion_tokens)::BIGINT AS effective_tokens,
        count(*) AS trajectories,
        sum(prompt_tokens)::BIGINT AS prompt_tokens,
        count(*) FILTER (reused) AS reused,
        count(*) FILTER (
            finish_reason IN ('stop', 'length') AND completion_tokens IS NULL
        ) AS uncounted
    FROM standing_trajectories
    GROUP BY run_id, problem_id, replicate
),

generated AS (
    SELECT
        run_id,
        trajectory_id,
        min({'problem_id': problem_id, 'replicate': replicate}) AS place,
        any_value(completion_tokens) AS tokens
    FROM trajectories
    WHERE NOT reused
    GROUP BY run_id, trajectory_id
),

spent AS (
    SELECT
        run_id,
        place.problem_id AS problem_id,
        place.replicate AS replicate,
        sum(tokens)::BIGINT AS marginal_tokens
    FROM generated
    GROUP BY ALL
)

SELECT
    run_id,
    problem_id,
    replicate,
    paths.effective_tokens,
    coalesce(spent.marginal_tokens, 0) AS marginal_tokens,
    paths.trajectories,
    paths.prompt_tokens,
    paths.reused,
    paths.uncounted
FROM paths
LEFT JOIN spent USING (run_id, problem_id, replicate)
ORDER BY run_id, problem_id, replicate

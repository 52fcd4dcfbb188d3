-- Grain: one row per run, problem and replicate: the tokens that its answer took, and the time.
-- A trajectory that fills several slots of a run was generated once, and counts in the first of them.
-- Columns:
--   runs.run_id
--   problems.problem_id
--   trajectories.replicate
--   effective_tokens BIGINT in tokens: Generated tokens on the path of the answer, all rounds, the final one included;
--     attempts given up are left out.
--   marginal_tokens BIGINT in tokens: Tokens that this run generated itself, attempts given up included.
--   wasted_tokens BIGINT in tokens: Of what this run paid for, what is on no path: attempts given up, which are in
--     `marginal_tokens` too, and broken tries, which are not.
--   trajectories BIGINT: Trajectories on the path, without those that a stopping rule did not begin.
--   prompt_tokens BIGINT in tokens: Tokens of their prompts.
--   cached_prompt_tokens BIGINT in tokens: Those of them that the server had in its cache; null where it never reports
--     them.
--   reused BIGINT: Trajectories that the store had already.
--   uncounted BIGINT: Trajectories that finished and whose tokens nobody counted.
--   path_tokens BIGINT in tokens: The critical path: generated tokens on the longest chain of the answer, one round after
--     the other, where a round has its longest trajectory, and of batches that a stopping rule began each follows on the
--     arrivals that it waited for; null where some are uncounted.
--   path_seconds DOUBLE in seconds: The longest latency of each round, added up, under the load that the engine had when
--     it generated them; batches follow one after the other as in `path_tokens`, and what a stopping rule aborted ended
--     with what it waited for; null where some have none.
--   engine_seconds DOUBLE in seconds: Latencies of all trajectories on the path, added up: how long places of the
--     engine were taken, of which a GPU has many, so that these are no GPU-seconds; null where some have none.
WITH placed AS (
    SELECT
        *,
        attempt = max(attempt) OVER (
            PARTITION BY run_id, round, problem_id, replicate, slot
        ) AS stands
    FROM all_trajectories
),

chains AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        sum(longest_tokens)::BIGINT AS path_tokens,
        if(bool_or(is_untimed), NULL, sum(longest_seconds)) AS path_seconds,
        if(bool_or(is_uncounted), NULL, sum(seconds)) AS engine_seconds
    FROM (
        SELECT
            run_id,
            problem_id,
            replicate,
            coalesce(any_value(batch_chains.chain_tokens), max(completion_tokens), 0)
                AS longest_tokens,
            coalesce(any_value(batch_chains.chain_seconds), max(latency_seconds), 0)
                AS longest_seconds,
            coalesce(sum(latency_seconds), 0) AS seconds,
            bool_or(completion_tokens > 0 AND latency_seconds IS NULL) AS is_uncounted,
            bool_or(
                completion_tokens > 0
                AND latency_seconds IS NULL
                AND finish_reason IS DISTINCT FROM 'aborted'
            ) AS is_untimed
        FROM placed
        LEFT JOIN batch_chains USING (run_id, round, problem_id, replicate)
        WHERE stands
        GROUP BY run_id, problem_id, replicate, round
    )
    GROUP BY run_id, problem_id, replicate
),

paths AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        (sum(completion_tokens) FILTER (stands))::BIGINT AS effective_tokens,
        count(*) FILTER (
            stands AND NOT (finish_reason = 'aborted' AND coalesce(tries, 1) = 0)
        ) AS trajectories,
        (sum(prompt_tokens) FILTER (stands))::BIGINT AS prompt_tokens,
        (sum(cached_prompt_tokens) FILTER (stands))::BIGINT AS cached_prompt_tokens,
        sum(
            CASE
                WHEN reused THEN 0
                WHEN stands THEN wasted_tokens
                ELSE wasted_tokens + coalesce(completion_tokens, 0)
            END
        )::BIGINT AS wasted_tokens,
        count(*) FILTER (stands AND reused) AS reused,
        count(*) FILTER (
            stands AND finish_reason IN ('stop', 'length') AND completion_tokens IS NULL
        ) AS uncounted
    FROM placed
    GROUP BY run_id, problem_id, replicate
),

generated AS (
    SELECT
        run_id,
        trajectory_id,
        min({'problem_id': problem_id, 'replicate': replicate}) AS place,
        max(completion_tokens) AS tokens
    FROM all_trajectories
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
    paths.wasted_tokens,
    paths.trajectories,
    paths.prompt_tokens,
    paths.cached_prompt_tokens,
    paths.reused,
    paths.uncounted,
    if(paths.uncounted > 0, NULL, chains.path_tokens) AS path_tokens,
    chains.path_seconds,
    chains.engine_seconds
FROM paths
JOIN chains USING (run_id, problem_id, replicate)
LEFT JOIN spent USING (run_id, problem_id, replicate)
ORDER BY run_id, problem_id, replicate

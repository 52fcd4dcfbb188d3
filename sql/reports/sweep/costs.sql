-- Grain: one row per run named in $run_ids: `alone_tokens`, what it would have cost with an empty store,
-- each of its trajectories once, attempts given up included; `new_tokens`, those it generated itself.
WITH once AS (
    SELECT
        run_id,
        trajectory_id,
        max(completion_tokens) AS tokens,
        bool_and(reused) AS reused
    FROM all_trajectories
    WHERE list_contains($run_ids, run_id)
    GROUP BY run_id, trajectory_id
)

SELECT
    run_id,
    coalesce(sum(tokens), 0)::BIGINT AS alone_tokens,
    coalesce(sum(tokens) FILTER (NOT reused), 0)::BIGINT AS new_tokens,
    count(*) AS trajectories,
    count(*) FILTER (reused) AS reused
FROM once
GROUP BY run_id
ORDER BY run_id

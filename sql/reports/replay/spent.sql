-- Grain: one row per problem of run $run_id: what its message sets took.
-- `sets`: replicates. `tokens`: of the current attempts of their slots of round 1, those of aborted trajectories
-- included; `later_tokens`: of all other rounds.
-- `trajectories`: those of round 1 with tokens, of which the store had `reused` already.
SELECT
    problem_id,
    count(DISTINCT replicate) AS sets,
    coalesce(sum(completion_tokens) FILTER (round = 1), 0)::BIGINT AS tokens,
    coalesce(sum(completion_tokens) FILTER (round > 1), 0)::BIGINT AS later_tokens,
    count(*) FILTER (round = 1 AND completion_tokens > 0) AS trajectories,
    count(*) FILTER (round = 1 AND completion_tokens > 0 AND reused) AS reused
FROM trajectories
WHERE run_id = $run_id
GROUP BY problem_id
ORDER BY problem_id

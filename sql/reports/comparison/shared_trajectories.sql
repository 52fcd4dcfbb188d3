-- Grain: one row per round of run $a or $b: how many different trajectories each has in it, on the way to the
-- problems in $problem_ids, and what they took. `first_shared` and `second_shared` of them, and of their
-- tokens, are trajectories of the other run too, whichever its round.
WITH there AS (
    SELECT DISTINCT run_id, round, trajectory_id, completion_tokens
    FROM trajectories
    WHERE run_id IN ($a, $b) AND list_contains($problem_ids, problem_id)
),

marked AS (
    SELECT
        there.*,
        trajectory_id IN (SELECT trajectory_id FROM there WHERE run_id = $a)
        AND trajectory_id IN (SELECT trajectory_id FROM there WHERE run_id = $b) AS is_shared
    FROM there
)

SELECT
    round,
    count(*) FILTER (run_id = $a) AS first,
    count(*) FILTER (run_id = $a AND is_shared) AS first_shared,
    coalesce(sum(completion_tokens) FILTER (run_id = $a), 0)::BIGINT AS first_tokens,
    coalesce(sum(completion_tokens) FILTER (run_id = $a AND is_shared), 0)::BIGINT AS first_shared_tokens,
    count(*) FILTER (run_id = $b) AS second,
    count(*) FILTER (run_id = $b AND is_shared) AS second_shared,
    coalesce(sum(completion_tokens) FILTER (run_id = $b), 0)::BIGINT AS second_tokens,
    coalesce(sum(completion_tokens) FILTER (run_id = $b AND is_shared), 0)::BIGINT AS second_shared_tokens
FROM marked
GROUP BY round
ORDER BY round

-- Grain: one row: the trajectories of run $run_id, how many of these were found in the store or are those of
-- another slot, and the tokens that were generated for the others.
WITH of_run AS (
    SELECT
        trajectory_id,
        bool_and(reused) AS reused,
        max(completion_tokens) AS completion_tokens,
        count(*) AS slots
    FROM trajectories
    WHERE run_id = $run_id
    GROUP BY trajectory_id
)

SELECT
    sum(slots)::BIGINT AS trajectories,
    sum(if(reused, slots, slots - 1))::BIGINT AS reused,
    sum(completion_tokens) FILTER (NOT reused)::BIGINT AS generated_tokens
FROM of_run

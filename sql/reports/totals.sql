-- Grain: one row, for run $run_id: its accuracy and rates, and what it cost.
SELECT
    accuracy.*,
    accuracy.problems * accuracy.replicates AS expected,
    cost.*
FROM mart_accuracy AS accuracy
CROSS JOIN (
    SELECT
        avg(effective_tokens) AS mean_effective_tokens,
        sum(effective_tokens)::BIGINT AS effective_tokens,
        coalesce(sum(marginal_tokens), 0)::BIGINT AS marginal_tokens,
        coalesce(sum(uncounted), 0)::BIGINT AS uncounted
    FROM mart_ttc
    WHERE run_id = $run_id
) AS cost
WHERE accuracy.run_id = $run_id

-- Grain: one row, for run $run_id: its accuracy and rates, and what it cost. `mean_effective_tokens` is of
-- answers the model gave or could have given, as in `mart_frontier`.
SELECT
    measured.*,
    cost.*,
    (SELECT count(*) FROM agreed WHERE run_id = $run_id) AS agreed
FROM mart_accuracy AS measured
CROSS JOIN (
    SELECT
        avg(effective_tokens) FILTER (outcomes.is_evidence) AS mean_effective_tokens,
        sum(effective_tokens)::BIGINT AS effective_tokens,
        coalesce(sum(marginal_tokens), 0)::BIGINT AS marginal_tokens,
        coalesce(sum(uncounted), 0)::BIGINT AS uncounted
    FROM mart_ttc
    JOIN outcomes USING (run_id, problem_id, replicate)
    WHERE run_id = $run_id
) AS cost
WHERE measured.run_id = $run_id

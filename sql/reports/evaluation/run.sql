-- Grain: one row, for run $run_id: its current grading, and what the run cost.
SELECT
    gradings.grading,
    gradings.sequence,
    gradings.grader,
    (
        SELECT array_to_string(list_sort(list_distinct(list(grader || ' ' || grader_version))), ', ')
        FROM scores
        WHERE scores.run_id = $run_id AND scores.verdict <> 'no_answer'
    ) AS graders,
    spent.*,
    costs.currency,
    costs.effective_money,
    costs.effective_money_per_answer,
    costs.marginal_money,
    frontier.accuracy_per_thousand_tokens
FROM gradings
JOIN mart_costs AS costs USING (run_id)
JOIN mart_frontier AS frontier USING (run_id)
CROSS JOIN (
    SELECT
        sum(prompt_tokens)::BIGINT AS prompt_tokens,
        sum(cached_prompt_tokens)::BIGINT AS cached_prompt_tokens,
        sum(wasted_tokens)::BIGINT AS wasted_tokens
    FROM mart_ttc
    WHERE run_id = $run_id
) AS spent
WHERE gradings.run_id = $run_id AND gradings.stands

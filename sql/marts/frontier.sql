-- Grain: one row per run: accuracy and cost, from which a frontier is drawn.
-- `steps`, `compaction` and `widths` are its strategy.
-- `score`, of `scored` of the `planned` answers, `population_low`, `population_high` and `unanswered_rate` are
-- those of `mart_accuracy`; `tokens_per_answer` is the mean effective TTC of answers the model gave or could
-- have given (`outcomes`): a replicate that something else ended early is no cheap answer. `marginal_tokens`
-- is what the run generated itself; `accuracy_per_thousand_tokens` the score by thousands of tokens an answer;
-- money as in `mart_costs`.
WITH spent AS (
    SELECT
        run_id,
        avg(effective_tokens) FILTER (outcomes.is_evidence) AS tokens_per_answer,
        coalesce(sum(marginal_tokens), 0)::BIGINT AS marginal_tokens,
        coalesce(sum(wasted_tokens), 0)::BIGINT AS wasted_tokens,
        sum(uncounted)::BIGINT AS uncounted
    FROM mart_ttc
    JOIN outcomes USING (run_id, problem_id, replicate)
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.model,
    runs.widths,
    runs.steps,
    runs.compaction,
    runs.replicates,
    runs.problems,
    accuracy.planned,
    accuracy.scored,
    accuracy.score,
    accuracy.population_low,
    accuracy.population_high,
    accuracy.unanswered_rate,
    spent.tokens_per_answer,
    spent.marginal_tokens,
    spent.wasted_tokens,
    spent.uncounted,
    1000 * accuracy.score / nullif(spent.tokens_per_answer, 0) AS accuracy_per_thousand_tokens,
    costs.currency,
    costs.effective_money_per_answer,
    costs.marginal_money
FROM runs
JOIN mart_accuracy AS accuracy USING (run_id)
JOIN mart_costs AS costs USING (run_id)
LEFT JOIN spent USING (run_id)
ORDER BY runs.run_id

-- Grain: one row per run: accuracy beside cost, from which a frontier is drawn.
-- Columns:
--   runs.run_id
--   runs.model
--   runs.widths
--   runs.steps
--   runs.compaction
--   runs.replicates
--   runs.problems
--   mart_accuracy.planned
--   mart_accuracy.scored
--   mart_accuracy.accuracy
--   mart_accuracy.population_low
--   mart_accuracy.population_high
--   mart_accuracy.unanswered_rate
--   tokens_per_answer DOUBLE in tokens: Mean effective TTC of the answers that the model gave or could have given: a
--     replicate that something else ended early is no cheap answer.
--   marginal_tokens BIGINT in tokens: Tokens that the run generated itself.
--   wasted_tokens BIGINT in tokens: Of what it paid for, what is on no path of an answer.
--   uncounted BIGINT: Trajectories that finished and whose tokens nobody counted.
--   accuracy_per_thousand_tokens DOUBLE in 1 / 1000 tokens: The accuracy by thousands of tokens an answer.
--   prices.currency
--   mart_costs.effective_money_per_answer
--   mart_costs.marginal_money
--   path_tokens_per_answer DOUBLE in tokens: Mean critical path of these answers, `path_tokens` of `mart_ttc`; null where
--     some is not known.
--   path_seconds_per_answer DOUBLE in seconds: The same in time, `path_seconds` of `mart_ttc`.
--   mart_costs.engine_seconds_per_answer
--   mart_costs.busy_seconds
WITH spent AS (
    SELECT
        run_id,
        avg(effective_tokens) FILTER (outcomes.is_evidence) AS tokens_per_answer,
        coalesce(sum(marginal_tokens), 0)::BIGINT AS marginal_tokens,
        coalesce(sum(wasted_tokens), 0)::BIGINT AS wasted_tokens,
        sum(uncounted)::BIGINT AS uncounted,
        if(
            bool_or(path_tokens IS NULL AND outcomes.is_evidence),
            NULL,
            avg(path_tokens) FILTER (outcomes.is_evidence)
        ) AS path_tokens,
        if(
            bool_or(path_seconds IS NULL AND outcomes.is_evidence),
            NULL,
            avg(path_seconds) FILTER (outcomes.is_evidence)
        ) AS path_seconds
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
    measured.planned,
    measured.scored,
    measured.accuracy,
    measured.population_low,
    measured.population_high,
    measured.unanswered_rate,
    spent.tokens_per_answer,
    spent.marginal_tokens,
    spent.wasted_tokens,
    spent.uncounted,
    1000 * measured.accuracy / nullif(spent.tokens_per_answer, 0) AS accuracy_per_thousand_tokens,
    costs.currency,
    costs.effective_money_per_answer,
    costs.marginal_money,
    spent.path_tokens AS path_tokens_per_answer,
    spent.path_seconds AS path_seconds_per_answer,
    costs.engine_seconds_per_answer,
    costs.busy_seconds
FROM runs
JOIN mart_accuracy AS measured USING (run_id)
JOIN mart_costs AS costs USING (run_id)
LEFT JOIN spent USING (run_id)
ORDER BY runs.run_id

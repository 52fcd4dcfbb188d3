-- Grain: one row per run named in $run_ids: its accuracy, rates and cost, as a comparison shows them.
SELECT measured.*, frontier.tokens_per_answer, frontier.currency, frontier.effective_money_per_answer
FROM mart_accuracy AS measured
JOIN mart_frontier AS frontier USING (run_id)
WHERE list_contains($run_ids, measured.run_id)
ORDER BY measured.run_id

-- Grain: one row per run: whether every round of it has verdicts of a finished grading, whether a judge has
-- voted without the gold answers, and whether a judge has graded it at all.
SELECT
    run_id,
    graded.run_id IS NOT NULL AS is_graded,
    liked.run_id IS NOT NULL AS has_opinions,
    judged.run_id IS NOT NULL AS is_judged
FROM runs
LEFT JOIN graded_runs AS graded USING (run_id)
LEFT JOIN opinions AS liked USING (run_id)
LEFT JOIN (SELECT DISTINCT run_id FROM judgings) AS judged USING (run_id)
ORDER BY run_id

-- Grain: one row per run of which every round has verdicts, by a finished grading against the gold answers.
SELECT run_id, grading
FROM gradings
WHERE stands AND sequence > 0

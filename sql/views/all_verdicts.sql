-- Grain: one row per run, grading, round, problem, replicate and slot whose trajectory was graded, old
-- verdicts beside new ones. Columns as in `given_verdicts`.
FROM given_verdicts
WHERE trajectory_id IS NOT NULL

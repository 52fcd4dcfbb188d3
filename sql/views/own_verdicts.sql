-- Grain: one row per run, problem and replicate whose answer the run itself has graded when it ended: all those
-- to problems with a gold answer that is for no judge, but for those that an engine has failed last.
-- `trajectory_id` is null where a replicate did not reach the last round. Columns as in `given_verdicts`.
FROM given_verdicts
WHERE grading = 'run' AND round >= getvariable('fewest_rounds')

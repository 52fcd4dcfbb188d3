-- Grain: one row per problem of a training set and stage that decided on it. Written by `pacore training`; a stage
-- that was done again has its last decisions. A warehouse over some runs has the training sets of these alone.
-- Columns:
--   training VARCHAR: Name of the training set.
--   stage VARCHAR: `filters`, `validity` (by the votes of a judge), `stage1` (by the accuracy of the pool) or
--     `stage2` (by that of the synthesis).
--   source VARCHAR: Name of the source that the problem is from.
--   problem_id VARCHAR: The problem in the runs of the training set; of one that was dropped at once, where it stands.
--   is_kept BOOLEAN: Whether the stage kept it.
--   reason VARCHAR: Why it did not, such as `near duplicate`, `unobserved` or `too often right`; null where it did.
--   detail VARCHAR: What else there is to say, such as the problem that it repeats; else null.
--   kind VARCHAR: Whose bounds hold for it, `math` or `code`; null where no problem can be read.
--   right_trajectories INTEGER: Trajectories that are right, of those with a score, or votes for valid; null of the
--     filters, as are all columns from here on.
--   observed_trajectories INTEGER: Trajectories with a score, or votes that can be read.
--   drawn_trajectories INTEGER: Trajectories that were to be drawn.
--   accuracy DOUBLE in [0, 1]: Share of the observed trajectories that are right; null where there is none, and of
--     validity, as are all columns from here on.
--   accuracy_low DOUBLE in [0, 1]: Lower end of its interval (Clopper and Pearson).
--   accuracy_high DOUBLE in [0, 1]: Upper end of it.
--   straddles BOOLEAN: Whether the upper bound is inside the interval.
--   policy VARCHAR: What decides then: `keep`, `drop` or `sample`; null of the second stage, which has no such bound.
--   turning_rate DOUBLE in [0, 1]: Chance that another pool of as many trajectories would have decided otherwise.
SELECT
    training,
    stage,
    source,
    problem_id,
    is_kept,
    unfiltered(reason) AS reason,
    unfiltered(detail) AS detail,
    unfiltered(kind) AS kind,
    "right" AS right_trajectories,
    observed AS observed_trajectories,
    drawn AS drawn_trajectories,
    rate AS accuracy,
    low AS accuracy_low,
    high AS accuracy_high,
    straddles,
    unfiltered(policy) AS policy,
    turning AS turning_rate
FROM read_parquet(getvariable('training_decisions_files'), hive_partitioning = false)

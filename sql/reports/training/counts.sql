-- Grain: one row per stage, source, kind and reason of training set $training, as `mart_training` has them.
SELECT
    stage,
    source,
    kind,
    reason,
    problems,
    straddling,
    turning_rate
FROM mart_training
WHERE training = $training

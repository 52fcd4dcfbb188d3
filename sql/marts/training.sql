-- Grain: one row per training set, stage, source, kind and reason: how many problems it decided so, as in the
-- paper's Table 7. The kept ones of a stage are those that the next one decides on.
-- Columns:
--   training_decisions.training
--   training_decisions.stage
--   training_decisions.source
--   training_decisions.kind
--   reason VARCHAR: Why they were not kept; null for those that were.
--   problems BIGINT: How many problems there are of it.
--   straddling BIGINT: Of them, those whose interval has the upper bound inside; null of the filters and
--     of validity.
--   turning_rate DOUBLE in [0, 1]: Share of them that another pool is expected to decide otherwise; null where no
--     pool was observed.
SELECT
    training,
    stage,
    source,
    kind,
    reason,
    count(*) AS problems,
    if(stage IN ('filters', 'validity'), NULL, count(*) FILTER (straddles)) AS straddling,
    avg(turning_rate) AS turning_rate
FROM training_decisions
GROUP BY training, stage, source, kind, reason
ORDER BY training, stage, source, kind, reason NULLS FIRST

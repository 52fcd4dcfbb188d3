-- Grain: one row per run and rule of evidence that applies to it: how much evidence is lacking, and of how much.
-- Each rule is a file of `sql/evidence`. A share that is `allowed` is exceeded where more is lacking than chance gives at
-- that share: by two standard deviations, or in all of several. Nothing to count is `unobserved`, which no rule takes for 0.
-- Columns:
--   runs.run_id
--   part VARCHAR: What the rule belongs to: `complete` or `observed`.
--   rule VARCHAR: Name of the rule.
--   version INTEGER: Version of the rule.
--   status VARCHAR: `held`, `lacking`, `unobserved` where there is nothing to count, or `stated`: lacking, and a fact
--     that no run is refused for.
--   lacking BIGINT: Those in which the evidence is lacking.
--   total BIGINT: All that were looked at, of which `lacking` is a part.
--   most BIGINT: How many may lack it; null where that is only stated.
--   allowed DOUBLE in [0, 1]: Share that may lack it; null where that is only stated.
--   unit VARCHAR: What is counted, such as `trajectories`.
--   lack VARCHAR: What there is to say where it is lacking, before the counts.
--   says VARCHAR: What holds where it is not.
WITH counted AS (
    SELECT
        *,
        least(
            greatest(total - 1, 0) * ceil(allowed),
            floor(total * allowed + 2 * sqrt(total * allowed * (1 - allowed)))
        )::BIGINT AS most
    FROM evidence_rules
)

SELECT
    run_id,
    part,
    rule,
    version,
    CASE
        WHEN total = 0 THEN 'unobserved'
        WHEN lacking = 0 THEN 'held'
        WHEN allowed IS NULL THEN 'stated'
        WHEN lacking > most THEN 'lacking'
        ELSE 'held'
    END AS status,
    lacking::BIGINT AS lacking,
    total::BIGINT AS total,
    most,
    allowed,
    unit,
    lack,
    says
FROM counted
ORDER BY run_id, part, rule

-- Grain: one row per derived run of an intervention: one round of another run again, on message sets that
-- were edited. `source_run_id`, `round` and `edit` say what was done, `batch` which of them were sampled
-- alike. `episodes`: trajectories with a score, of `problems` problems; `accuracy`: mean over problems.
-- Over the `compared` problems, and the sets that both have: `edited` and `control`, means after the edit and
-- of the sets as they were, and `difference`, the first less the second. `shared` of these problems are such
-- that the edit has left their sets as they were.
SELECT
    run_id,
    source_run_id,
    round,
    edit,
    batch,
    sum(episodes)::BIGINT AS episodes,
    count(accuracy) AS problems,
    avg(accuracy) AS accuracy,
    avg(paired) FILTER (control IS NOT NULL) AS edited,
    avg(control) FILTER (paired IS NOT NULL) AS control,
    avg(paired - control) AS difference,
    count(paired - control) AS compared,
    count(*) FILTER (is_same) AS shared
FROM intervened
GROUP BY run_id, source_run_id, round, edit, batch
ORDER BY source_run_id, round, batch, run_id

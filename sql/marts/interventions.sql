-- Grain: one row per derived run of an intervention: one round of another run again, on message sets that
-- were edited. `source_run_id`, `round` and `edit` say what was done, `batch` which of them were sampled
-- alike. `episodes`: trajectories with a score, of `problems` problems; `accuracy`: mean over problems.
-- `difference`: from the control, the sets as they were, over the `compared` problems and sets both have.
SELECT
    run_id,
    source_run_id,
    round,
    edit,
    batch,
    sum(episodes)::BIGINT AS episodes,
    count(accuracy) AS problems,
    avg(accuracy) AS accuracy,
    avg(paired - control) AS difference,
    count(paired - control) AS compared
FROM intervened
GROUP BY run_id, source_run_id, round, edit, batch
ORDER BY source_run_id, round, batch, run_id

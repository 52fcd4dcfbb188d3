-- Grain: one row per derived run of an intervention: one round of another run again, on message sets that
-- were edited.
-- Columns:
--   run_id VARCHAR: Name of the derived run.
--   source_run_id VARCHAR: The run that it repeats a round of.
--   round INTEGER: That round.
--   edit VARCHAR: What was done to the message sets, such as `shuffle`.
--   batch VARCHAR: Same for edits that were sampled alike, and so compare.
--   episodes BIGINT: Trajectories with a score.
--   problems BIGINT: Problems that these are of.
--   accuracy DOUBLE in [0, 1]: Mean over problems of their mean score.
--   edited DOUBLE in [0, 1]: Mean after the edit, over the sets and problems that the control has too.
--   control DOUBLE in [0, 1]: Mean of the same sets as they were.
--   difference DOUBLE in [-1, 1]: `edited` less `control`.
--   compared BIGINT: Problems that both have.
--   shared BIGINT: Of these the ones whose sets the edit has left as they were.
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

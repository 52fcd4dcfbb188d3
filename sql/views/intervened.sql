-- Grain: one row per derived run of an intervention and problem of the run it was derived from.
-- `source_run_id`, `round`, `edit`: what was done; `batch`: which edits were sampled alike, and so compare.
-- `episodes`: trajectories with a score; `accuracy`: their mean score. `paired` and `control`: means over
-- the message sets that the control has too, after this edit and without any; `is_same`: whether the edit has
-- left all of these as they were, so that its trajectories are those of the control.
WITH derived AS (
    SELECT
        scores.run_id,
        json_extract_string(problems.metadata, '$.intervention.run_id') AS source_run_id,
        (json_extract_string(problems.metadata, '$.intervention.round'))::INTEGER AS round,
        json_extract_string(problems.metadata, '$.intervention.edit') AS edit,
        json_extract_string(problems.metadata, '$.intervention.batch') AS batch,
        json_extract_string(problems.metadata, '$.intervention.problem_id') AS problem_id,
        (json_extract_string(problems.metadata, '$.intervention.replicate'))::INTEGER AS replicate,
        scores.score,
        deciding.decided_by
    FROM scores
    JOIN deciding USING (run_id, problem_id, replicate)
    JOIN problems USING (run_id, problem_id)
    WHERE problems.metadata LIKE '%"intervention":{%'
),

sets AS (
    SELECT
        run_id,
        source_run_id,
        round,
        edit,
        batch,
        problem_id,
        replicate,
        count(score) AS episodes,
        avg(score) AS accuracy,
        list_sort(list(decided_by)) AS decided_by
    FROM derived
    GROUP BY run_id, source_run_id, round, edit, batch, problem_id, replicate
)

SELECT
    sets.run_id,
    sets.source_run_id,
    sets.round,
    sets.edit,
    sets.batch,
    sets.problem_id,
    sum(sets.episodes)::BIGINT AS episodes,
    avg(sets.accuracy) AS accuracy,
    avg(sets.accuracy) FILTER (control.accuracy IS NOT NULL) AS paired,
    avg(control.accuracy) FILTER (sets.accuracy IS NOT NULL) AS control,
    coalesce(
        bool_and(sets.decided_by = control.decided_by)
        FILTER (sets.accuracy IS NOT NULL AND control.accuracy IS NOT NULL),
        false
    ) AS is_same
FROM sets
LEFT JOIN sets AS control
    ON control.edit = 'same'
    AND (control.source_run_id, control.round, control.batch, control.problem_id, control.replicate)
    = (sets.source_run_id, sets.round, sets.batch, sets.problem_id, sets.replicate)
GROUP BY sets.run_id, sets.source_run_id, sets.round, sets.edit, sets.batch, sets.problem_id

-- Grain: one row per run and phase of its time, in their order: the phases of a run that has ended add up to the time from
-- its first start to its end. Trajectories that the store had already take none of it.
-- Columns:
--   runs.run_id
--   position INTEGER: Number of the phase in the run, from 1.
--   phase VARCHAR: `start`, until the first request was sent, of a run that generated nothing all of its time; `full`, at
--     least one request in flight, until fewer than half of the run's most are; `tail`, at least one in flight after that;
--     `idle`, none in flight between the first request and the last response, as while the run was interrupted; `end`,
--     after the last response, which an open run does not have yet.
--   seconds DOUBLE in seconds: How long it was, in all.
--   share DOUBLE: Its part of the run's phases; null where they took no time.
--   in_flight DOUBLE: Requests in flight, the mean over `full` or `tail`; null for the others.
WITH requests AS (
    SELECT
        run_id,
        max(epoch(generated_at)) AS ended,
        max(epoch(generated_at)) - max(latency_seconds) AS began
    FROM all_trajectories
    WHERE NOT reused AND latency_seconds IS NOT NULL
    GROUP BY run_id, trajectory_id
),

changes AS (
    SELECT run_id, moment, sum(change) AS change
    FROM (
        SELECT run_id, began AS moment, 1 AS change
        FROM requests
        UNION ALL
        SELECT run_id, ended AS moment, -1 AS change
        FROM requests
    )
    GROUP BY run_id, moment
),

spans AS (
    SELECT
        run_id,
        moment AS began,
        lead(moment) OVER ordered AS ended,
        sum(change) OVER ordered AS in_flight
    FROM changes
    WINDOW ordered AS (PARTITION BY run_id ORDER BY moment)
),

fullest AS (
    SELECT run_id, max(in_flight) AS most
    FROM spans
    GROUP BY run_id
),

engine AS (
    SELECT
        run_id,
        min(began) AS began,
        max(coalesce(ended, began)) AS ended,
        max(ended) FILTER (2 * in_flight >= most) AS tail_began
    FROM spans
    JOIN fullest USING (run_id)
    GROUP BY run_id
),

sums AS (
    SELECT
        run_id,
        CASE
            WHEN spans.in_flight = 0 THEN 'idle'
            WHEN spans.began < engine.tail_began THEN 'full'
            ELSE 'tail'
        END AS phase,
        sum(spans.ended - spans.began) AS seconds,
        sum(spans.in_flight * (spans.ended - spans.began)) AS flown
    FROM spans
    JOIN engine USING (run_id)
    WHERE spans.ended IS NOT NULL
    GROUP BY ALL
),

times AS (
    SELECT
        runs.run_id,
        epoch(runs.created_at) AS created,
        epoch(runs.finished_at) AS finished,
        engine.began,
        engine.ended
    FROM runs
    LEFT JOIN engine USING (run_id)
),

phases AS (
    SELECT
        run_id,
        'start' AS phase,
        coalesce(began, finished) - created AS seconds,
        NULL AS flown
    FROM times
    UNION ALL
    SELECT run_id, phase, seconds, flown
    FROM sums
    UNION ALL
    SELECT run_id, 'end' AS phase, finished - ended AS seconds, NULL AS flown
    FROM times
    WHERE ended IS NOT NULL
)

SELECT
    run_id,
    (row_number() OVER (
        PARTITION BY run_id
        ORDER BY list_position(['start', 'full', 'idle', 'tail', 'end'], phase)
    ))::INTEGER AS position,
    phase,
    greatest(seconds, 0) AS seconds,
    greatest(seconds, 0) / nullif(sum(greatest(seconds, 0)) OVER (PARTITION BY run_id), 0)
        AS share,
    if(phase IN ('full', 'tail'), flown / nullif(seconds, 0), NULL) AS in_flight
FROM phases
WHERE seconds IS NOT NULL
ORDER BY run_id, position

-- A trajectory was aborted only where a rule has decided its set, and there every slot arrived or was aborted.
WITH slots AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        count(*) FILTER (finish_reason = 'aborted') AS aborted
    FROM trajectories
    GROUP BY run_id, round, problem_id, replicate
)

SELECT run_id, round, problem_id, replicate, coalesce(slots.aborted, 0) AS aborted
FROM slots
FULL JOIN stops USING (run_id, round, problem_id, replicate)
WHERE
    coalesce(slots.aborted, 0)
    <> coalesce(len(stops.aborted) + stops.not_begun, 0)
    OR stops.width <> len(stops.trajectory_ids) + len(stops.aborted) + stops.not_begun

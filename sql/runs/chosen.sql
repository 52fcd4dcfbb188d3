-- Grain: one row per slot whose current trajectory meets $condition, a person's own SQL that is
-- put in this place. One that was aborted is not needed, and a trajectory that a retry with the very limit $max_tokens made is not chosen again; a
-- round that bounds its generations lets no limit exceed that.
SELECT round, problem_id, replicate, slot, trajectory_id
FROM trajectories
WHERE (
$condition
) AND finish_reason <> 'aborted' AND NOT (
    retry_of IS NOT NULL
    AND max_tokens IS NOT DISTINCT FROM least(
        $max_tokens, (SELECT any_value(bound_tokens)[round] FROM runs)
    )
)
ORDER BY round, problem_id, replicate, slot

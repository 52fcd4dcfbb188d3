-- Every finished trajectory's text stands under the run its row points at.
SELECT
    trajectories.run_id,
    trajectories.round,
    trajectories.problem_id,
    trajectories.replicate,
    trajectories.slot,
    trajectories.trajectory_id,
    trajectories.text_run_id
FROM trajectories
ANTI JOIN trajectory_texts AS texts
    ON texts.run_id = trajectories.text_run_id
    AND texts.trajectory_id = trajectories.trajectory_id
WHERE trajectories.finish_reason NOT IN ('rejected', 'engine_error', 'timeout', 'cancelled')

-- Every finished trajectory's text is stored with the run that its row names.
SELECT
    tried.run_id,
    tried.round,
    tried.problem_id,
    tried.replicate,
    tried.slot,
    tried.trajectory_id,
    tried.text_run_id
FROM all_trajectories AS tried
ANTI JOIN trajectory_texts AS texts
    ON texts.run_id = tried.text_run_id
    AND texts.trajectory_id = tried.trajectory_id
WHERE is_finished(tried.finish_reason)

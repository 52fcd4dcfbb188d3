-- Grain: one row per run, round, problem, replicate and slot whose standing trajectory has a verdict of
-- the grading that stands. Before `pacore grade` or `pacore evaluate` that is the last round alone.
SELECT
    verdicts.run_id,
    verdicts.round,
    verdicts.problem_id,
    verdicts.replicate,
    verdicts.slot,
    verdicts.trajectory_id,
    verdicts.grading,
    verdicts.grader,
    verdicts.verdict,
    verdicts.score,
    verdicts.answer,
    verdicts.answer_key,
    verdicts.detail,
    standing.finish_reason,
    standing.conclusion_status,
    standing.completion_tokens,
    standing.prompt_digest,
    standing.draw
FROM verdicts
JOIN gradings USING (run_id, grading)
JOIN standing_trajectories AS standing
    USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE gradings.stands

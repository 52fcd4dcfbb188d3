-- Grain: one row per run, round, problem, replicate and slot: the current verdict on its current trajectory.
-- It is that of the grading whose verdicts count. Before `pacore grade` or `pacore evaluate` only the last
-- round has verdicts, those of the run itself. `all_verdicts` has those of every grading.
-- No verdict is on a trajectory that is no evidence of the model (`is_evidence` of `trajectories`).
-- Columns:
--   all_verdicts.*
--   trajectories.finish_reason
--   trajectories.conclusion_status
--   trajectories.completion_tokens
--   trajectories.prompt_digest
--   trajectories.draw
SELECT * EXCLUDE (prompt_positions, prompt_messages)
FROM standing_verdicts

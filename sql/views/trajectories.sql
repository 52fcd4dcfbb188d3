-- Grain: one row per run, round, problem, replicate and slot: the slot's current attempt, which is its last.
-- `all_trajectories` has those before it too.
-- `is_evidence` is false where the engine ended the attempt (`rejected`, `engine_error`, `timeout`,
-- `cancelled`), where it was `aborted`, and where the bare problem does not fit the window (`context_overflow` in round 1): nobody has
-- generated anything. A prompt of a later round holds the model's own messages, and that these do not fit is of
-- its making, as are texts that were cut (`length`) and texts without a conclusion.
-- Columns:
--   all_trajectories.*
--   is_evidence BOOLEAN: Whether its end is evidence of what the model can do, and so may be scored.

-- Few slots have a second attempt, so the later ones are looked up rather than all of them sorted.
SELECT
    last.*,
    is_finished(last.finish_reason)
    AND NOT (last.finish_reason = 'context_overflow' AND last.round = 1) AS is_evidence
FROM all_trajectories AS last
ANTI JOIN all_trajectories AS later
    ON later.run_id = last.run_id
    AND later.round = last.round
    AND later.problem_id = last.problem_id
    AND later.replicate = last.replicate
    AND later.slot = last.slot
    AND later.attempt > last.attempt
    AND later.attempt > 0

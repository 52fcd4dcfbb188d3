-- Grain: one row per run, round, problem, replicate and slot: its last attempt, the one that stands.
-- Few slots have a second attempt, so the later ones are looked up rather than all of them sorted.
SELECT standing.*
FROM trajectories AS standing
ANTI JOIN trajectories AS later
    ON later.run_id = standing.run_id
    AND later.round = standing.round
    AND later.problem_id = standing.problem_id
    AND later.replicate = standing.replicate
    AND later.slot = standing.slot
    AND later.attempt > standing.attempt
    AND later.attempt > 0

-- Grain: one row per current trajectory of run $run_id on which gradings $before and $after differ
-- in verdict or score. `before_answer` and `after_answer` are the answers each reads in it, cut.
SELECT
    after.round,
    after.problem_id AS problem,
    after.replicate,
    after.slot,
    before.verdict AS before,
    after.verdict AS after,
    before.score AS before_score,
    after.score AS after_score,
    left(before.answer, 500) AS before_answer,
    left(after.answer, 500) AS after_answer,
    left(problems.gold, 500) AS gold
FROM all_verdicts AS before
JOIN all_verdicts AS after USING (run_id, round, problem_id, replicate, slot, trajectory_id)
JOIN problems USING (run_id, problem_id)
WHERE
    run_id = $run_id
    AND before.grading = $before
    AND after.grading = $after
    AND (before.verdict <> after.verdict OR before.score IS DISTINCT FROM after.score)
ORDER BY after.round, problem, after.replicate, after.slot
LIMIT $rows

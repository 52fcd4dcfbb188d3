-- Grain: one row per pair of verdicts that gradings $before and $after give the same trajectory of run
-- $run_id; `changed` are those whose score changed, or whose verdicts differ.
SELECT
    before.verdict AS before,
    after.verdict AS after,
    count(*) AS trajectories,
    count(*) FILTER (
        before.verdict <> after.verdict OR before.score IS DISTINCT FROM after.score
    ) AS changed
FROM all_verdicts AS before
JOIN all_verdicts AS after USING (run_id, round, problem_id, replicate, slot, trajectory_id)
WHERE run_id = $run_id AND before.grading = $before AND after.grading = $after
GROUP BY before.verdict, after.verdict
ORDER BY changed DESC, before.verdict, after.verdict

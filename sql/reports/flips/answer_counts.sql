-- Grain: one row per pair of current verdicts of runs $before and $after on the same problem and replicate;
-- `changed` are those whose score changed, or whose verdicts differ; `shared` those of answers that the same
-- trajectories decide in both runs.
SELECT
    before.verdict AS before,
    after.verdict AS after,
    count(*) AS answers,
    count(*) FILTER (
        before.verdict <> after.verdict OR before.score IS DISTINCT FROM after.score
    ) AS changed,
    count(*) FILTER (decided_before.decided_by = decided_after.decided_by) AS shared
FROM scores AS before
JOIN problems AS problems_before USING (run_id, problem_id)
JOIN problems AS problems_after
    ON problems_after.run_id = $after
    AND problems_after.problem_id = problems_before.problem_id
    AND problems_after.content_digest = problems_before.content_digest
JOIN scores AS after
    ON after.run_id = $after
    AND after.problem_id = problems_before.problem_id
    AND after.replicate = before.replicate
LEFT JOIN deciding AS decided_before
    ON decided_before.run_id = before.run_id
    AND decided_before.problem_id = before.problem_id
    AND decided_before.replicate = before.replicate
LEFT JOIN deciding AS decided_after
    ON decided_after.run_id = after.run_id
    AND decided_after.problem_id = after.problem_id
    AND decided_after.replicate = after.replicate
WHERE before.run_id = $before
GROUP BY before.verdict, after.verdict
ORDER BY changed DESC, before.verdict, after.verdict

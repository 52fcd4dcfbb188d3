-- Grain: one row per pair of verdicts that stand in runs $before and $after on the same problem and
-- replicate; `changed` are those whose score changed, or whose verdicts differ.
SELECT
    before.verdict AS before,
    after.verdict AS after,
    count(*) AS answers,
    count(*) FILTER (
        before.verdict <> after.verdict OR before.score IS DISTINCT FROM after.score
    ) AS changed
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
WHERE before.run_id = $before
GROUP BY before.verdict, after.verdict
ORDER BY changed DESC, before.verdict, after.verdict

-- Grain: one row per run named in $run_ids and problem with a scored answer: the mean score over its replicates,
-- and the share of them in which the model gave an answer. `graders` lists the versions that decided on an answer, where there was one; `content_digest` is of question
-- and gold.
SELECT
    scores.run_id,
    scores.problem_id,
    problems.content_digest,
    avg(scores.score) AS accuracy,
    avg((scores.verdict <> 'no_answer')::INTEGER) AS answered,
    count(scores.score) AS scored,
    coalesce(
        list_sort(list_distinct(
            list(scores.grader || ' ' || scores.grader_version) FILTER (scores.verdict <> 'no_answer')
        )),
        []
    ) AS graders
FROM scores
JOIN problems USING (run_id, problem_id)
WHERE list_contains($run_ids, scores.run_id) AND scores.score IS NOT NULL
GROUP BY scores.run_id, scores.problem_id, problems.content_digest
ORDER BY scores.run_id, scores.problem_id

-- A score lies in [0, 1], and only a grading that broke off has none.
SELECT run_id, problem_id, replicate, grader, status, score
FROM scores
WHERE
    score NOT BETWEEN 0 AND 1
    OR (score IS NULL AND status NOT IN ('timeout', 'parse_error'))

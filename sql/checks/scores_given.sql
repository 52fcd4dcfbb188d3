-- A score lies in [0, 1], is 1 exactly for a correct answer, and only a grading that ended by timeout or crash
-- has none.
SELECT run_id, problem_id, replicate, grading, grader, verdict, score
FROM scores
WHERE
    score NOT BETWEEN 0 AND 1
    OR (score IS NULL) <> (verdict IN ('timeout', 'crash'))
    OR (score = 1) <> (verdict = 'correct')

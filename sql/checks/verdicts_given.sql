-- A verdict's score lies in [0, 1], is 1 exactly for a correct answer and 0 for a missing one, and
-- only a grading that ended by timeout or crash has none; a missing answer is no answer, and has no
-- equivalence class.
SELECT
    run_id,
    grading,
    round,
    problem_id,
    replicate,
    slot,
    verdict,
    score,
    left(answer, 80) AS answer,
    left(answer_key, 80) AS answer_key
FROM (FROM all_verdicts UNION ALL FROM own_verdicts WHERE trajectory_id IS NULL)
WHERE
    verdict NOT IN ('correct', 'wrong', 'no_answer', 'timeout', 'crash')
    OR score NOT BETWEEN 0 AND 1
    OR (score IS NULL) <> (verdict IN ('timeout', 'crash'))
    OR (score IS NOT DISTINCT FROM 1) <> (verdict = 'correct')
    OR (verdict = 'no_answer' AND score <> 0)
    OR (answer IS NULL) <> (verdict = 'no_answer')
    OR (answer IS NULL) <> (answer_key IS NULL)
    OR (answer IS NULL) <> (method IS NULL)

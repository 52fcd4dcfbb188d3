-- One version of a grader gives an answer to a problem one verdict, wherever in a run the answer is
-- given. Timeouts and crashes are no verdicts, and a judge votes on each text.
SELECT
    run_id,
    problem_id,
    grader,
    grader_version,
    left(answer, 80) AS answer,
    list_sort(list(DISTINCT verdict || ' ' || score::VARCHAR)) AS verdicts
FROM all_verdicts AS given
WHERE verdict IN ('correct', 'wrong') AND NOT starts_with(grader, 'judge')
GROUP BY run_id, problem_id, grader, grader_version, given.answer
HAVING count(DISTINCT (verdict, score)) > 1

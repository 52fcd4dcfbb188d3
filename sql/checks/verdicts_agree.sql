-- One version of a grader says one thing of an answer to a problem, wherever in a run the answer is
-- given. What broke off said nothing, and a judge is asked about each text.
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

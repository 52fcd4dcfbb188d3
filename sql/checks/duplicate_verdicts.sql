-- A grading has one verdict on the current trajectory of a slot.
SELECT run_id, grading, round, problem_id, replicate, slot, count(*) AS rows
FROM all_verdicts
GROUP BY run_id, grading, round, problem_id, replicate, slot
HAVING count(*) > 1

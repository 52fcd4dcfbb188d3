-- A grading says one thing of what stands in a slot.
SELECT run_id, grading, round, problem_id, replicate, slot, count(*) AS rows
FROM all_verdicts
GROUP BY run_id, grading, round, problem_id, replicate, slot
HAVING count(*) > 1

-- Grain: one row per n and problem of run $run_id, where every problem has n members to choose from.
SELECT n, problem_id, best
FROM judge_choices
WHERE run_id = $run_id
QUALIFY min(members) OVER (PARTITION BY n) >= n
ORDER BY n, problem_id

-- Grain: one row, of run $run_id, per n.
SELECT n, best_of_n
FROM mart_best_of_n
WHERE run_id = $run_id
ORDER BY n

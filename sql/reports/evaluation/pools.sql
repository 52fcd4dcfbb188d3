-- Grain: one row per pool and k of run $run_id: pass@k, pass^k and maj@k side by side.
SELECT
    passed.pool,
    passed.k,
    passed.problems,
    passed.members,
    passed.pass_at_k,
    passed.pass_power_k,
    voted.maj_at_k,
    voted.method,
    voted.tokens
FROM mart_pass_at_k AS passed
LEFT JOIN mart_majority AS voted USING (run_id, pool, k)
WHERE passed.run_id = $run_id
ORDER BY passed.pool DESC, passed.k

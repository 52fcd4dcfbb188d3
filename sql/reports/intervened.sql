SELECT *
FROM intervened
WHERE list_contains($run_ids, run_id)
ORDER BY run_id, problem_id

SELECT *
FROM mart_judges
WHERE run_id = $run_id AND grading = $grading

-- Grain: one row, for grading $grading of run $run_id: how far its judge agrees with rules.
SELECT *
FROM mart_judges
WHERE run_id = $run_id AND grading = $grading

-- Grain: one row per outcome, finish reason and error of planned answers of run $run_id that are missing
-- (`outcomes`), the most frequent first. `answers` counts those missing for it: of the slots of the round a
-- replicate ended in that are no evidence of the model, the first by slot is taken. Of pending ones the last
-- two are null.
WITH missing AS (
    SELECT problem_id, replicate, outcome, ended_in
    FROM outcomes
    WHERE run_id = $run_id AND outcome IN ('lost', 'pending')
),

causes AS (
    SELECT
        missing.problem_id,
        missing.replicate,
        arg_min(trajectories.finish_reason, slot) AS finish_reason,
        arg_min(trajectories.error, slot) AS error
    FROM trajectories
    JOIN missing
        ON missing.problem_id = trajectories.problem_id
        AND missing.replicate = trajectories.replicate
        AND missing.ended_in = trajectories.round
    WHERE trajectories.run_id = $run_id AND NOT trajectories.is_evidence
    GROUP BY missing.problem_id, missing.replicate
)

SELECT outcome, finish_reason, left(error, 300) AS error, count(*) AS answers
FROM missing
LEFT JOIN causes USING (problem_id, replicate)
GROUP BY ALL
ORDER BY answers DESC, outcome, finish_reason, error

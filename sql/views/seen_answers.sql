-- Grain: one row per run, round, problem, replicate, slot and reference, as `seen_messages`, of graded runs: the
-- answer of a message, and that of the trajectory that saw it.
-- A message is judged by the trajectory it was made of, a summary or workspace by the one that wrote it.
-- `is_right`, `is_output_right`: whether the verdict is `correct`; null where there is none, or grading
-- ended by timeout or crash. An answer that is missing is not right. `answer_key`, `output_key`: classes of
-- the answers, null where there is none.
SELECT
    seen.run_id,
    seen.round,
    seen.problem_id,
    seen.replicate,
    seen.slot,
    seen.reference,
    if(message.score IS NULL, NULL, message.verdict = 'correct') AS is_right,
    message.answer_key,
    if(output.score IS NULL, NULL, output.verdict = 'correct') AS is_output_right,
    output.answer_key AS output_key
FROM seen_messages AS seen
SEMI JOIN graded_runs USING (run_id)
JOIN verdicts AS output
    ON output.run_id = seen.run_id
    AND output.round = seen.round
    AND output.problem_id = seen.problem_id
    AND output.replicate = seen.replicate
    AND output.slot = seen.slot
LEFT JOIN verdicts AS message
    ON message.run_id = seen.run_id
    AND message.round = seen.round - 1
    AND message.problem_id = seen.problem_id
    AND message.replicate = seen.replicate
    AND message.trajectory_id = seen.message_id

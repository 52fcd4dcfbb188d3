-- Grain: one row per run, pool, problem and member: interchangeable samples of one thing, to vote among.
-- Pool `first_round` has the distinct draws of the bare problem in round 1, over all replicates; pool
-- `answers` has the answer of each replicate. `answer_key` is a member's vote: null where it has no answer.
-- `score` is null where grading ended by timeout or crash: such a member is no wrong answer, and counts in no
-- measure that needs a score.
SELECT
    run_id,
    'first_round' AS pool,
    problem_id,
    trajectory_id AS member,
    max(answer_key) AS answer_key,
    max(verdict) AS verdict,
    max(score) AS score,
    max(completion_tokens) AS completion_tokens
FROM verdicts
SEMI JOIN graded_runs USING (run_id)
WHERE round = 1
GROUP BY run_id, problem_id, trajectory_id
UNION ALL
SELECT
    run_id,
    'answers' AS pool,
    problem_id,
    replicate::VARCHAR AS member,
    answer_key,
    verdict,
    score,
    completion_tokens
FROM last_verdicts
SEMI JOIN (SELECT * FROM outcomes WHERE is_evidence) AS had USING (run_id, problem_id, replicate)

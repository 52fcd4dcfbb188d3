-- Grain: one row per run, problem and replicate whose answer was compared with a gold answer: the current
-- verdict on it.
-- A run grades no answer that is for a judge.
-- An answer that the model gave none of scores 0, also where it came to no last trajectory; one that something
-- else kept it from giving has no row here (`outcomes`).
-- Columns:
--   runs.run_id
--   problems.problem_id
--   trajectories.replicate
--   gradings.grading
--   all_verdicts.grader
--   all_verdicts.verdict
--   all_verdicts.score
--   gold VARCHAR: The gold answer that it was compared with, or the digest of a long one.
--   all_verdicts.answer
--   trajectory_id VARCHAR: The last trajectory; null where the replicate did not reach the last round.
--   all_verdicts.grader_version
SELECT
    run_id,
    problem_id,
    replicate,
    grading,
    grader,
    verdict,
    score,
    gold,
    answer,
    trajectory_id,
    grader_version
FROM last_verdicts
SEMI JOIN (SELECT * FROM outcomes WHERE is_evidence) AS had USING (run_id, problem_id, replicate)

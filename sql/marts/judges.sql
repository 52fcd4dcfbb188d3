-- Grain: one row per run and finished grading by a judge: how far it agrees with rules.
-- The other is the last finished grading of the run against the gold answer by anything but a judge.
-- Columns:
--   runs.run_id
--   grading VARCHAR: The judge's grading.
--   grader VARCHAR: The judge.
--   gradings.against
--   judged BIGINT: Verdicts of the judge.
--   crash_rate DOUBLE in [0, 1]: Share of them that have no vote.
--   other VARCHAR: The grading that it is compared with; null where there is none.
--   other_grader VARCHAR: Grader of that one.
--   compared BIGINT: Trajectories that both decided.
--   both_correct BIGINT: Of these the ones that both call correct.
--   only_judge BIGINT: Those that the judge alone calls correct.
--   only_other BIGINT: Those that the other alone calls correct.
--   both_wrong BIGINT: Those that neither calls correct.
--   agreement DOUBLE in [0, 1]: Share with the same verdict of both.
--   kappa DOUBLE in [-1, 1]: Cohen's: agreement beyond that of two who answer at random as often; null where one of
--     them always gives the same verdict.
WITH others AS (
    SELECT run_id, grading, grader
    FROM gradings
    WHERE
        NOT starts_with(grader, 'judge')
        AND against = 'gold'
        AND sequence > 0
        AND finished_at IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY sequence DESC) = 1
),

given AS (
    SELECT all_verdicts.*
    FROM all_verdicts
    JOIN trajectories USING (run_id, round, problem_id, replicate, slot, trajectory_id)
),

pairs AS (
    SELECT
        judges.run_id,
        judges.grading,
        count(*) AS judged,
        avg((given.verdict = 'crash')::INTEGER) AS crash_rate,
        count(*) FILTER (given.verdict = 'correct' AND ruled.verdict = 'correct') AS both_correct,
        count(*) FILTER (given.verdict = 'correct' AND ruled.verdict = 'wrong') AS only_judge,
        count(*) FILTER (given.verdict = 'wrong' AND ruled.verdict = 'correct') AS only_other,
        count(*) FILTER (given.verdict = 'wrong' AND ruled.verdict = 'wrong') AS both_wrong
    FROM judgings AS judges
    JOIN given USING (run_id, grading)
    LEFT JOIN others USING (run_id)
    LEFT JOIN given AS ruled
        ON ruled.run_id = given.run_id
        AND ruled.grading = others.grading
        AND (ruled.round, ruled.problem_id, ruled.replicate, ruled.slot)
        = (given.round, given.problem_id, given.replicate, given.slot)
    GROUP BY judges.run_id, judges.grading
),

counted AS (
    SELECT
        *,
        both_correct + only_judge + only_other + both_wrong AS compared,
        (both_correct + both_wrong) / nullif(compared, 0)::DOUBLE AS agreement,
        (
            (both_correct + only_judge) * (both_correct + only_other)
            + (both_wrong + only_other) * (both_wrong + only_judge)
        ) / nullif(compared * compared, 0)::DOUBLE AS by_chance
    FROM pairs
)

SELECT
    judges.run_id,
    judges.grading,
    judges.grader,
    judges.against,
    counted.judged,
    counted.crash_rate,
    others.grading AS other,
    others.grader AS other_grader,
    counted.compared,
    counted.both_correct,
    counted.only_judge,
    counted.only_other,
    counted.both_wrong,
    counted.agreement,
    (counted.agreement - counted.by_chance) / nullif(1 - counted.by_chance, 0) AS kappa
FROM judgings AS judges
JOIN counted USING (run_id, grading)
LEFT JOIN others USING (run_id)
ORDER BY run_id, grading

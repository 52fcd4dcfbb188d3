-- Grain: one row per run: its accuracy (pass@1) with two intervals, and what became of answers without a score.
-- It is read together with `scored` of the `planned` answers, and with what is missing (`outcomes`).
-- Two 95 % intervals, in answer to two questions. `population_low`, `population_high`: were other problems
-- of this kind drawn; the standard error is that of the mean of the problems' means (Miller 2024, clustered
-- by problem). `these_low`, `these_high`: were these very problems solved again;
-- its standard error comes from the replicates' spread within each problem. Null where a problem has a
-- single replicate, where no problem's replicates differ, and where replicates draw from a shared pool and
-- so are not independent: the bootstrap in `pacore evaluate` treats that.
-- Both are Wilson's intervals at the effective number of answers accuracy (1 - accuracy) / SE^2, with Student's t
-- in place of z: near 0 and 1 a plain one would leave [0, 1] and cover far less than 95 %. Neither takes
-- missing answers into account.
-- Columns:
--   runs.run_id
--   runs.problems
--   runs.replicates
--   planned BIGINT: Answers that the run is to give: problems by replicates.
--   answers BIGINT: Answers that have ended so far.
--   scored BIGINT: Answers with a score.
--   lost BIGINT: Answers that are missing for a reason that is not the model's.
--   pending BIGINT: Answers that have not ended so far.
--   missing BIGINT: `lost` and `pending` together.
--   ungraded BIGINT: Ended answers without a score that the model is not to blame for: not graded, or no gold answer,
--     or the grading ended by `timeout` or `crash`.
--   accuracy DOUBLE in [0, 1]: Mean over problems of the mean over a problem's scored replicates; null where nothing is
--     scored.
--   lowest_accuracy DOUBLE in [0, 1]: The accuracy, were every planned answer without one wrong.
--   highest_accuracy DOUBLE in [0, 1]: The accuracy, were every planned answer without one right.
--   these_low DOUBLE in [0, 1]: Lower end of the 95 % interval for these problems solved again.
--   these_high DOUBLE in [0, 1]: Upper end of that interval.
--   population_low DOUBLE in [0, 1]: Lower end of the 95 % interval for other problems of this kind; null below two
--     problems.
--   population_high DOUBLE in [0, 1]: Upper end of that interval.
--   missing_rate DOUBLE in [0, 1]: Share of the planned answers that are missing.
--   unanswered_rate DOUBLE in [0, 1]: Of the answers that are not missing the share in which the model gave none.
--   truncated_rate DOUBLE in [0, 1]: Of the ended answers the share whose final text was cut.
--   empty_rate DOUBLE in [0, 1]: Of the ended answers the share whose final text is empty.
--   unparsed_rate DOUBLE in [0, 1]: Of the ended answers the share in whose final text nothing reads as an answer.
--   no_answer_rate DOUBLE in [0, 1]: Of the ended answers the share in which the model gave none in its final text.
--   failed_rate DOUBLE in [0, 1]: Of the ended answers the share without a final text, the model's doing or not.
--   timeout_rate DOUBLE in [0, 1]: Of the ended answers the share whose grading took too long.
--   crash_rate DOUBLE in [0, 1]: Of the ended answers the share whose grading crashed.
--   ungraded_rate DOUBLE in [0, 1]: Of the ended answers the share that is `ungraded`.
WITH finals AS (
    SELECT
        outcomes.run_id,
        outcomes.problem_id,
        outcomes.status,
        outcomes.outcome,
        outcomes.is_evidence,
        last_round.conclusion_status,
        if(outcomes.is_evidence, given.verdict, NULL) AS verdict,
        if(outcomes.is_evidence, given.score, NULL) AS score
    FROM outcomes
    JOIN runs USING (run_id)
    LEFT JOIN answers USING (run_id, problem_id, replicate)
    LEFT JOIN trajectories AS last_round
        ON last_round.run_id = outcomes.run_id
        AND last_round.round = runs.rounds
        AND last_round.round >= getvariable('fewest_rounds')
        AND last_round.problem_id = outcomes.problem_id
        AND last_round.replicate = outcomes.replicate
        AND last_round.trajectory_id = answers.trajectory_id
    LEFT JOIN last_verdicts AS given
        ON given.run_id = outcomes.run_id
        AND given.problem_id = outcomes.problem_id
        AND given.replicate = outcomes.replicate
),

by_problem AS (
    SELECT
        run_id,
        problem_id,
        avg(score) AS accuracy,
        var_samp(score) AS variance,
        coalesce(sum(score), 0) / nullif(count(*), 0) AS lowest,
        (coalesce(sum(score), 0) + count(*) - count(score)) / nullif(count(*), 0) AS highest,
        bool_and(NOT is_evidence OR verdict IS NOT NULL) AS is_gradable,
        count(*) AS planned,
        count(status) AS answers,
        count(score) AS scored,
        count(*) FILTER (is_evidence) AS evidence,
        count(*) FILTER (outcome = 'no_answer') AS unanswered,
        count(*) FILTER (outcome = 'lost') AS lost,
        count(*) FILTER (outcome = 'pending') AS pending,
        count(*) FILTER (is_evidence AND score IS NULL) AS ungraded,
        count(*) FILTER (conclusion_status = 'truncated') AS truncated,
        count(*) FILTER (conclusion_status = 'empty') AS empty,
        count(*) FILTER (status = 'no_answer' AND conclusion_status = 'present') AS unparsed,
        count(*) FILTER (status = 'no_answer' AND outcome = 'no_answer') AS no_answer,
        count(*) FILTER (status = 'failed' OR outcome = 'lost') AS failed,
        count(*) FILTER (verdict = 'timeout') AS timeout,
        count(*) FILTER (verdict = 'crash') AS crash
    FROM finals
    GROUP BY run_id, problem_id
),

by_run AS (
    SELECT
        run_id,
        avg(accuracy) AS accuracy,
        count(accuracy) AS scored_problems,
        avg(lowest) FILTER (is_gradable) AS lowest_accuracy,
        avg(highest) FILTER (is_gradable) AS highest_accuracy,
        if(count(accuracy) > 1, stddev_samp(accuracy) / nullif(sqrt(count(accuracy)), 0), NULL)
            AS population_se,
        if(
            count(variance) = count(accuracy),
            sqrt(sum(variance / nullif(scored, 0))) / nullif(count(accuracy), 0),
            NULL
        ) AS these_se,
        sum(greatest(scored - 1, 0)) AS these_df,
        sum(planned) AS planned,
        sum(answers) AS answers,
        sum(scored) AS scored,
        sum(evidence) AS evidence,
        sum(unanswered) AS unanswered,
        sum(lost) AS lost,
        sum(pending) AS pending,
        sum(ungraded) AS ungraded,
        sum(truncated) AS truncated,
        sum(empty) AS empty,
        sum(unparsed) AS unparsed,
        sum(no_answer) AS no_answer,
        sum(failed) AS failed,
        sum(timeout) AS timeout,
        sum(crash) AS crash
    FROM by_problem
    GROUP BY run_id
),

questions AS (
    SELECT
        run_id,
        'population' AS question,
        accuracy,
        if(
            population_se > 0,
            accuracy * (1 - accuracy) / nullif(population_se ** 2, 0),
            scored_problems
        ) AS effective,
        scored_problems - 1 AS df
    FROM by_run
    WHERE population_se IS NOT NULL
    UNION ALL
    SELECT
        run_id,
        'these' AS question,
        accuracy,
        accuracy * (1 - accuracy) / nullif(these_se ** 2, 0) AS effective,
        these_df AS df
    FROM by_run
    JOIN runs USING (run_id)
    WHERE these_se > 0 AND runs.pool IS NULL
),

spread AS (
    SELECT
        run_id,
        question,
        accuracy,
        effective,
        if(df > 120, 1.959964, quantile) AS t
    FROM questions
    LEFT JOIN student_t USING (df)
),

intervals AS (
    SELECT
        run_id,
        question,
        (accuracy + t ** 2 / nullif(2 * effective, 0))
        / nullif(1 + t ** 2 / nullif(effective, 0), 0) AS middle,
        t / nullif(1 + t ** 2 / nullif(effective, 0), 0) * sqrt(
            accuracy * (1 - accuracy) / nullif(effective, 0) + t ** 2 / nullif(4 * effective ** 2, 0)
        ) AS half
    FROM spread
),

bounds AS (
    SELECT
        run_id,
        max(greatest(0, middle - half)) FILTER (question = 'these') AS these_low,
        max(least(1, middle + half)) FILTER (question = 'these') AS these_high,
        max(greatest(0, middle - half)) FILTER (question = 'population') AS population_low,
        max(least(1, middle + half)) FILTER (question = 'population') AS population_high
    FROM intervals
    GROUP BY run_id
)

SELECT
    runs.run_id,
    runs.problems,
    runs.replicates,
    coalesce(by_run.planned, 0)::BIGINT AS planned,
    coalesce(by_run.answers, 0)::BIGINT AS answers,
    coalesce(by_run.scored, 0)::BIGINT AS scored,
    coalesce(by_run.lost, 0)::BIGINT AS lost,
    coalesce(by_run.pending, 0)::BIGINT AS pending,
    coalesce(by_run.lost + by_run.pending, 0)::BIGINT AS missing,
    coalesce(by_run.ungraded, 0)::BIGINT AS ungraded,
    by_run.accuracy,
    by_run.lowest_accuracy,
    by_run.highest_accuracy,
    bounds.these_low,
    bounds.these_high,
    bounds.population_low,
    bounds.population_high,
    (by_run.lost + by_run.pending) / nullif(by_run.planned, 0) AS missing_rate,
    by_run.unanswered / nullif(by_run.evidence, 0) AS unanswered_rate,
    by_run.truncated / nullif(by_run.answers, 0) AS truncated_rate,
    by_run.empty / nullif(by_run.answers, 0) AS empty_rate,
    by_run.unparsed / nullif(by_run.answers, 0) AS unparsed_rate,
    by_run.no_answer / nullif(by_run.answers, 0) AS no_answer_rate,
    by_run.failed / nullif(by_run.answers, 0) AS failed_rate,
    by_run.timeout / nullif(by_run.answers, 0) AS timeout_rate,
    by_run.crash / nullif(by_run.answers, 0) AS crash_rate,
    by_run.ungraded / nullif(by_run.answers, 0) AS ungraded_rate
FROM runs
LEFT JOIN by_run USING (run_id)
LEFT JOIN bounds USING (run_id)
ORDER BY runs.run_id

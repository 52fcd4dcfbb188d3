-- Grain: one row per run and round that attempts problems with messages in the prompt: what a model does with
-- messages, as a model is followed through its training (Figures 1, 3 and 5).
-- The messages are from the run itself, or from another one from which its problems were derived; then the two
-- models may be different, and runs of each pair of models make the table of both.
-- Columns:
--   runs.run_id
--   trajectories.round
--   runs.model
--   runs.revision
--   message_run_id VARCHAR: The run that the messages are from.
--   message_model VARCHAR: The model that made them; null where that run is not among those that are read.
--   message_revision VARCHAR: The revision of that model.
--   episodes BIGINT: Trajectories with a score, and with scored messages where these are its own run's.
--   undecided BIGINT: The others, which are in no other column.
--   problems BIGINT: Problems that these are of.
--   accuracy DOUBLE in [0, 1]: Mean over problems of the share of their trajectories that is right.
--   message_accuracy DOUBLE in [0, 1]: Mean over problems of the share of the messages they saw that is right.
--   all_wrong BIGINT: Episodes that saw no right message.
--   emergent_rate DOUBLE in [0, 1]: Share of `all_wrong` whose trajectory is right.
--   words_mean DOUBLE: Words that mention references in a trajectory, as in `mart_words`.
--   any_rate DOUBLE in [0, 1]: Share of trajectories with at least one of these words.
WITH by_problem AS (
    SELECT
        run_id,
        round,
        any_value(message_run_id) AS message_run_id,
        count(*) FILTER (is_decided) AS episodes,
        count(*) FILTER (NOT is_decided) AS undecided,
        avg(is_right::INTEGER) FILTER (is_decided) AS accuracy,
        sum(right_seen) FILTER (is_decided) / nullif(sum(seen) FILTER (is_decided), 0) AS message_accuracy,
        count(*) FILTER (is_decided AND right_seen = 0) AS all_wrong,
        count(*) FILTER (is_decided AND right_seen = 0 AND is_right) AS found
    FROM syntheses
    GROUP BY run_id, round, of_problem_id
),

by_round AS (
    SELECT
        run_id,
        round,
        any_value(message_run_id) AS message_run_id,
        sum(episodes)::BIGINT AS episodes,
        sum(undecided)::BIGINT AS undecided,
        count(*) FILTER (episodes > 0) AS problems,
        avg(accuracy) AS accuracy,
        avg(message_accuracy) AS message_accuracy,
        sum(all_wrong)::BIGINT AS all_wrong,
        sum(found) / nullif(sum(all_wrong), 0) AS emergent_rate
    FROM by_problem
    GROUP BY run_id, round
)

SELECT
    by_round.run_id,
    by_round.round,
    own.model,
    own.revision,
    by_round.message_run_id,
    makers.model AS message_model,
    makers.revision AS message_revision,
    by_round.episodes,
    by_round.undecided,
    by_round.problems,
    by_round.accuracy,
    by_round.message_accuracy,
    by_round.all_wrong,
    by_round.emergent_rate,
    spoken.words_mean,
    spoken.any_rate
FROM by_round
JOIN runs AS own ON own.run_id = by_round.run_id
LEFT JOIN runs AS makers ON makers.run_id = by_round.message_run_id
LEFT JOIN mart_words AS spoken ON spoken.run_id = by_round.run_id AND spoken.round = by_round.round
ORDER BY by_round.run_id, by_round.round

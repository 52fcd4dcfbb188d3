-- Grain: one row per run and round from 2 on: whether the text of a round depends on the messages it saw, or
-- would read the same without them (solipsism).
-- Graded or not; by conclusions, as most messages are those. An overlap is the share of a conclusion's distinct
-- five-word runs, lower case, that are in one of the messages; each is a mean over problems of the mean over
-- their episodes.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   episodes BIGINT: Trajectories with a conclusion and a message of five words each, at least.
--   problems BIGINT: Problems that these are of.
--   seen DOUBLE in [0, 1]: Overlap with the messages seen.
--   compared BIGINT: Episodes that have as many messages of the same problem that they did not see, those at the same
--     positions of the next replicate.
--   compared_seen DOUBLE in [0, 1]: `seen` over these.
--   unseen DOUBLE in [0, 1]: Overlap of these with the messages they did not see.
--   dependence DOUBLE in [-1, 1]: `compared_seen` less `unseen`, about 0 where a round does not use its references.
--   among DOUBLE in [0, 1]: Overlap of one of the messages seen with the others, the control where there is no second
--     replicate.
SELECT
    run_id,
    round,
    any_value(runs.steps[round]) AS step,
    sum(by_problem.episodes)::BIGINT AS episodes,
    count(*) AS problems,
    avg(by_problem.seen) AS seen,
    sum(by_problem.compared)::BIGINT AS compared,
    avg(by_problem.compared_seen) AS compared_seen,
    avg(by_problem.unseen) AS unseen,
    avg(by_problem.compared_seen) - avg(by_problem.unseen) AS dependence,
    avg(by_problem.among) AS among
FROM problem_overlaps AS by_problem
JOIN runs USING (run_id)
GROUP BY run_id, round
ORDER BY run_id, round

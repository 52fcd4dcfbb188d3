-- Grain: one row per run and round from 2 on: whether the text of a round depends on the messages it saw, or
-- would read the same without them (solipsism). Graded or not; by conclusions, as most messages are those.
-- `step` is what the round does. `episodes`, from `problems` problems: trajectories with a conclusion and a
-- message of five words each, at least. An overlap is the share of a conclusion's distinct five-word runs,
-- lower case, that are in one of the messages; each is a mean over problems of the mean over their episodes.
-- `seen`: the overlap with the messages seen. `unseen`: with as many messages of the same problem that it did
-- not see, those at the same positions of the next replicate, over the `compared` episodes that have such;
-- `compared_seen`: `seen` over these. `dependence`: `compared_seen` less `unseen`, about 0 where a round
-- does not use its references. `among`: the overlap of one of the messages seen with the others, the
-- control where there is no second replicate.
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

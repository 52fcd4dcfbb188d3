-- Grain: one row per run, round and rule that stops early: what it has decided, and what that has saved.
-- What was saved is an estimate: a trajectory that was not needed would have been as long as those of its set that
-- arrived, on average. The first to arrive are shorter than the others, so it is rather too low.
-- Columns:
--   runs.run_id
--   stops.round
--   stops.rule
--   sets BIGINT: Message sets that were decided.
--   stopped BIGINT: Those of them that were decided before all slots had their trajectories.
--   reasons MAP(VARCHAR, BIGINT): How many were stopped by which part of the rule.
--   ended BIGINT: Sets after which no round follows, as their messages agree.
--   slots BIGINT: Slots of all of them.
--   arrived BIGINT: Trajectories that had arrived.
--   aborted BIGINT: Trajectories that were aborted in flight.
--   not_begun BIGINT: Slots that nothing was sent for.
--   seen_tokens BIGINT in tokens: What those took that had arrived.
--   aborted_tokens BIGINT in tokens: What those had cost that were aborted.
--   saved_tokens DOUBLE in tokens: What the trajectories that were not needed would have taken in addition.
--   saved DOUBLE in [0, 1]: Share of all tokens that this is.
--   rounds_saved_tokens DOUBLE in tokens: What the rounds would have taken that do not follow, if they were as long as
--     those of other problems; null where no problem has had one of them.
WITH counted AS (
    SELECT
        run_id,
        round,
        rule,
        reason,
        is_stopped,
        width,
        seen_tokens,
        not_begun,
        ends_with,
        len(trajectory_ids) AS arrived,
        len(aborted) AS aborted,
        coalesce(list_sum(aborted_tokens), 0)::BIGINT AS aborted_tokens,
        greatest(
            0,
            (width - len(trajectory_ids)) * seen_tokens / nullif(len(trajectory_ids), 0)
            - coalesce(list_sum(aborted_tokens), 0)
        ) AS saved_tokens
    FROM stops
),

reasons AS (
    SELECT run_id, round, rule, map_from_entries(list((reason, sets) ORDER BY reason)) AS reasons
    FROM (
        SELECT run_id, round, rule, reason, count(*) AS sets
        FROM counted
        WHERE is_stopped
        GROUP BY ALL
    )
    GROUP BY run_id, round, rule
),

-- What all rounds after one take of an answer, on average over those that have had each.
later_rounds AS (
    SELECT
        ends.run_id,
        ends.round,
        if(count(*) = any_value(runs.rounds) - ends.round, sum(taken.mean_tokens), NULL)
            AS later_tokens
    FROM (SELECT DISTINCT run_id, round FROM stops WHERE ends_with IS NOT NULL) AS ends
    JOIN runs USING (run_id)
    JOIN (
        SELECT
            run_id,
            round,
            sum(completion_tokens) / nullif(count(DISTINCT (problem_id, replicate)), 0)
                AS mean_tokens
        FROM trajectories
        SEMI JOIN stops USING (run_id)
        GROUP BY run_id, round
    ) AS taken ON taken.run_id = ends.run_id AND taken.round > ends.round
    GROUP BY ends.run_id, ends.round
)

SELECT
    run_id,
    round,
    rule,
    count(*) AS sets,
    count(*) FILTER (is_stopped) AS stopped,
    any_value(reasons) AS reasons,
    count(ends_with) AS ended,
    sum(width)::BIGINT AS slots,
    sum(arrived)::BIGINT AS arrived,
    sum(aborted)::BIGINT AS aborted,
    sum(not_begun)::BIGINT AS not_begun,
    sum(seen_tokens)::BIGINT AS seen_tokens,
    sum(aborted_tokens)::BIGINT AS aborted_tokens,
    sum(saved_tokens) AS saved_tokens,
    sum(saved_tokens) / nullif(sum(saved_tokens + seen_tokens + aborted_tokens), 0) AS saved,
    if(ended = 0, 0, ended * any_value(later_tokens)) AS rounds_saved_tokens
FROM counted
LEFT JOIN reasons USING (run_id, round, rule)
LEFT JOIN later_rounds USING (run_id, round)
GROUP BY run_id, round, rule
ORDER BY run_id, round, rule

-- Grain: one row per run of `pacore value`, message set and message of it: what the message is worth to the next
-- trajectory.
-- Of message sets that were tried in all their sets (`tried_sets`); where one of these has no score, none of its
-- messages has a row. `value` is the coefficient of the message's level in the least-squares line through the
-- mean scores of the tried sets; without bias where the effects of messages add up. The interval is Student's:
-- its variance joins what the line leaves with that of scores of 0 and 1, which counts as 8 sets, as few sets
-- may happen to leave nothing. Sets that show the same texts have one trajectory, and count as one.
-- Columns:
--   run_id VARCHAR: Name of the derived run.
--   source_run_id VARCHAR: The run whose messages they are.
--   round INTEGER: The round that sees them.
--   treatment VARCHAR: `drop`, the message shown against left out; `swap`, against a message of another set in
--     its place; `duplicate`, twice against once.
--   problem_id VARCHAR: The problem.
--   replicate INTEGER: The replicate whose message set it is.
--   position INTEGER: Place in the message set, from 1.
--   trajectory_id VARCHAR: The trajectory that the message was made of.
--   value DOUBLE: By how much the message raises the mean score of the next trajectory; an estimate without bias,
--     which may lie beyond 1.
--   low DOUBLE in [-1, 1]: Lower end of its 95 % interval.
--   high DOUBLE in [-1, 1]: Upper end.
--   cost_tokens DOUBLE in tokens: By how many tokens the message lengthens the prompt; null where these are not counted.
--   more_generated_tokens DOUBLE in tokens: By how many tokens it lengthens what is generated.
--   is_right BOOLEAN: Whether its own verdict is right; null without one, or where only the derived run is read.
--   characters BIGINT: Length of its text; null where only the derived run is read.
--   messages INTEGER: Messages of its set.
--   sets BIGINT: Sets that they were tried in.
--   episodes BIGINT: Trajectories with a score.
WITH complete AS (
    SELECT
        run_id,
        source_run_id,
        round,
        treatment,
        problem_id,
        replicate,
        any_value(message_ids) AS message_ids,
        len(any_value(message_ids)) AS messages,
        any_value(matrix_order) AS matrix_order,
        count(*) AS sets,
        sum(episodes)::BIGINT AS episodes,
        -- What the row of lower levels, left out of the matrix, would have added to the products.
        sum(accuracy * (1 + len(message_ids) - 2 * len(upper))) AS without_accuracy,
        sum(prompt_tokens * (1 + len(message_ids) - 2 * len(upper))) AS without_prompt,
        sum(generated_tokens * (1 + len(message_ids) - 2 * len(upper))) AS without_generated,
        sum(accuracy) AS total,
        sum(accuracy * accuracy) AS squares,
        count(DISTINCT prompt_digest) AS prompts
    FROM tried_sets
    GROUP BY run_id, source_run_id, round, treatment, problem_id, replicate
    HAVING count(*) = any_value(tried_sets.sets) AND min(tried_sets.episodes) > 0
),

-- Sets that show the same texts have the same trajectories, which count once in what is typical of scores.
prompted AS (
    SELECT run_id, problem_id, replicate, sum(accuracy) AS total, count(*) AS prompts
    FROM (
        SELECT run_id, problem_id, replicate, prompt_digest, any_value(accuracy) AS accuracy
        FROM tried_sets
        GROUP BY run_id, problem_id, replicate, prompt_digest
    )
    GROUP BY run_id, problem_id, replicate
),

placed AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        unnest(message_ids) AS trajectory_id,
        generate_subscripts(message_ids, 1)::INTEGER AS position,
        upper,
        1 + len(message_ids) - 2 * len(upper) AS left_out,
        prompt_digest,
        accuracy,
        prompt_tokens,
        generated_tokens
    FROM tried_sets
),

products AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        position,
        any_value(trajectory_id) AS trajectory_id,
        sum(if(list_contains(upper, position), accuracy, -accuracy)) AS of_accuracy,
        if(
            count(prompt_tokens) = count(*),
            sum(if(list_contains(upper, position), prompt_tokens, -prompt_tokens)),
            NULL
        ) AS of_prompt,
        if(
            count(generated_tokens) = count(*),
            sum(if(list_contains(upper, position), generated_tokens, -generated_tokens)),
            NULL
        ) AS of_generated
    FROM placed
    GROUP BY run_id, problem_id, replicate, position
),

-- With u the row that is left out, (X'X)^-1 = (I + uu' / (order - messages - 1)) / order.
fitted AS (
    SELECT
        complete.*,
        sets - messages - 1 AS df,
        if(sets < matrix_order, 1 / nullif(matrix_order - messages - 1, 0), 0) AS share_left_out,
        (prompted.total + 0.5) / nullif(prompted.prompts + 1, 0) AS mean_accuracy
    FROM complete
    JOIN prompted USING (run_id, problem_id, replicate)
),

explained AS (
    SELECT
        fitted.run_id,
        fitted.problem_id,
        fitted.replicate,
        (
            any_value(total * total) + sum(of_accuracy * of_accuracy)
            + any_value(without_accuracy * without_accuracy * share_left_out)
        ) / nullif(any_value(matrix_order), 0) AS squares
    FROM fitted
    JOIN products USING (run_id, problem_id, replicate)
    GROUP BY fitted.run_id, fitted.problem_id, fitted.replicate
),

-- By what a value is multiplied of the score of each prompt.
factors AS (
    SELECT
        run_id,
        problem_id,
        replicate,
        position,
        sum(factor * factor) AS squares
    FROM (
        SELECT
            placed.run_id,
            placed.problem_id,
            placed.replicate,
            placed.position,
            placed.prompt_digest,
            sum(if(list_contains(upper, position), 1, -1) - left_out * share_left_out) * 2
            / nullif(any_value(matrix_order), 0) AS factor
        FROM placed
        JOIN fitted USING (run_id, problem_id, replicate)
        GROUP BY
            placed.run_id, placed.problem_id, placed.replicate, placed.position, placed.prompt_digest
    )
    GROUP BY run_id, problem_id, replicate, position
),

spread AS (
    SELECT
        fitted.*,
        -- Where prompts are the same the line leaves less than there is.
        if(
            fitted.prompts < sets,
            mean_accuracy * (1 - mean_accuracy) * sets / nullif(episodes, 0),
            (
                greatest(0, fitted.squares - explained.squares)
                + 8 * mean_accuracy * (1 - mean_accuracy) * sets / nullif(episodes, 0)
            ) / nullif(fitted.df + 8, 0)
        ) AS of_a_set,
        if(fitted.prompts < sets, 1.959964, coalesce(quantile, 1.959964)) AS quantile
    FROM fitted
    JOIN explained USING (run_id, problem_id, replicate)
    LEFT JOIN student_t ON student_t.df = if(fitted.df > 0, round((fitted.df + 8) ** 2 / nullif(fitted.df, 0)), NULL)
),

estimated AS (
    SELECT
        spread.*,
        of_a_set * factors.squares AS variance,
        products.position,
        products.trajectory_id,
        2 * (of_accuracy - without_accuracy * share_left_out) / nullif(matrix_order, 0) AS value,
        2 * (of_prompt - without_prompt * share_left_out) / nullif(matrix_order, 0) AS cost_tokens,
        2 * (of_generated - without_generated * share_left_out) / nullif(matrix_order, 0) AS more_generated_tokens
    FROM spread
    JOIN products USING (run_id, problem_id, replicate)
    JOIN factors
        ON factors.run_id = products.run_id
        AND factors.problem_id = products.problem_id
        AND factors.replicate = products.replicate
        AND factors.position = products.position
)

SELECT
    estimated.run_id,
    estimated.source_run_id,
    estimated.round,
    estimated.treatment,
    estimated.problem_id,
    estimated.replicate,
    estimated.position,
    estimated.trajectory_id,
    estimated.value,
    greatest(-1, least(1, estimated.value - quantile * sqrt(variance))) AS low,
    greatest(-1, least(1, estimated.value + quantile * sqrt(variance))) AS high,
    estimated.cost_tokens,
    estimated.more_generated_tokens,
    CASE verdicts.verdict WHEN 'correct' THEN true WHEN 'wrong' THEN false WHEN 'no_answer' THEN false END
        AS is_right,
    messages.characters,
    estimated.messages::INTEGER AS messages,
    estimated.sets,
    estimated.episodes
FROM estimated
LEFT JOIN messages
    ON messages.run_id = estimated.source_run_id
    AND messages.round = estimated.round - 1
    AND messages.problem_id = estimated.problem_id
    AND messages.replicate = estimated.replicate
    AND messages.position = estimated.position
LEFT JOIN verdicts
    ON verdicts.run_id = estimated.source_run_id
    AND verdicts.round = estimated.round - 1
    AND verdicts.problem_id = estimated.problem_id
    AND verdicts.replicate = estimated.replicate
    AND verdicts.trajectory_id = estimated.trajectory_id
ORDER BY
    estimated.source_run_id,
    estimated.round,
    estimated.run_id,
    estimated.problem_id,
    estimated.replicate,
    estimated.position

-- Grain: one row per run, round, problem and replicate whose rule has begun the slots in batches: the longest chain
-- of its trajectories, in tokens and in seconds.
-- A batch is begun when so many of those before it have arrived, as recorded; so its trajectories follow on the
-- longest chain among these. `chain_tokens` is null where a trajectory that arrived is no row; `chain_seconds`, of
-- the arrivals alone, also where one of them has no latency: what was aborted ended with the last arrival.
WITH RECURSIVE rules AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        width,
        begun,
        trajectory_ids,
        CAST(regexp_extract(rule, '(?:^|,)batch:(\d+)', 1) AS BIGINT) AS batch,
        coalesce(TRY_CAST(regexp_extract(rule, '(?:^|,)growth:(\d+)', 1) AS BIGINT), 1) AS growth,
        coalesce(TRY_CAST(regexp_extract(rule, '(?:^|,)ready:([^,]+)', 1) AS DOUBLE), 1) AS ready,
        regexp_matches(rule, '(?:^|,)abort_late') AS aborts_late
    FROM stops
    WHERE regexp_matches(rule, '(?:^|,)batch:\d')
),

members AS (
    SELECT
        rules.run_id,
        rules.round,
        rules.problem_id,
        rules.replicate,
        units.unit,
        list_filter(
            list(
                {
                    'place': list_position(rules.trajectory_ids, tried.trajectory_id),
                    'slot': tried.slot,
                    'spent': CASE units.unit
                        WHEN 'tokens' THEN coalesce(tried.completion_tokens, 0)::DOUBLE
                        ELSE tried.latency_seconds
                    END
                }
                ORDER BY list_position(rules.trajectory_ids, tried.trajectory_id), tried.slot
            ),
            lambda one: one.slot < any_value(rules.begun)
                AND (any_value(units.unit) = 'tokens' OR one.place IS NOT NULL)
        ) AS begun_ones
    FROM rules
    JOIN all_trajectories AS tried USING (run_id, round, problem_id, replicate)
    CROSS JOIN (VALUES ('tokens'), ('seconds')) AS units (unit)
    WHERE tried.finish_reason NOT IN ('rejected', 'engine_error', 'timeout', 'cancelled')
    GROUP BY ALL
),

sets AS (
    SELECT
        rules.*,
        members.unit,
        members.begun_ones,
        list_filter(members.begun_ones, lambda one: one.place IS NOT NULL) AS arrivals
    FROM rules
    JOIN members USING (run_id, round, problem_id, replicate)
),

-- One row for each batch: slots from `first` until `until`, begun after `seen` arrivals, `started` tokens or seconds.
batches AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        unit,
        0::BIGINT AS first,
        least(batch, width)::BIGINT AS until,
        batch AS size,
        0::BIGINT AS seen,
        0::DOUBLE AS started,
        list_transform(range(least(batch, width)), lambda _: 0::DOUBLE) AS slot_starts
    FROM sets
    UNION ALL
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        unit,
        until,
        least(until + size * growth, width)::BIGINT,
        size * growth,
        waited,
        longest,
        list_concat(
            slot_starts,
            list_transform(
                range(least(until + size * growth, width) - until), lambda _: longest
            )
        )
    FROM (
        SELECT
            *,
            greatest(
                started,
                coalesce(
                    list_max(
                        list_transform(
                            list_slice(arrivals, seen + 1, waited),
                            lambda one: slot_starts[one.slot + 1] + one.spent
                        )
                    ),
                    0
                )
            ) AS longest
        FROM (
            SELECT
                batches.*,
                sets.growth,
                sets.width,
                sets.arrivals,
                CASE
                    WHEN sets.aborts_late
                        THEN list_filter(
                            range(1, len(sets.arrivals) + 1),
                            lambda place: sets.arrivals[place].slot >= batches.first
                        )[ceil((batches.until - batches.first) * sets.ready - 1e-9)::BIGINT]
                    ELSE greatest(ceil(batches.until * sets.ready - 1e-9)::BIGINT, batches.seen + 1)
                END AS waited
            FROM batches
            JOIN sets USING (run_id, round, problem_id, replicate, unit)
            WHERE batches.until < least(sets.begun, sets.width)
        )
    )
),

last_batches AS (
    SELECT run_id, round, problem_id, replicate, unit, arg_max(slot_starts, until) AS slot_starts
    FROM batches
    GROUP BY ALL
),

chains AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        sets.unit,
        if(
            len(sets.arrivals) = len(sets.trajectory_ids)
            AND NOT list_bool_or(
                list_transform(sets.begun_ones, lambda one: one.spent IS NULL)
            ),
            list_max(
                list_transform(
                    sets.begun_ones, lambda one: last_batches.slot_starts[one.slot + 1] + one.spent
                )
            ),
            NULL
        ) AS longest
    FROM sets
    JOIN last_batches USING (run_id, round, problem_id, replicate, unit)
)

SELECT
    run_id,
    round,
    problem_id,
    replicate,
    (max(longest) FILTER (unit = 'tokens'))::BIGINT AS chain_tokens,
    max(longest) FILTER (unit = 'seconds') AS chain_seconds
FROM chains
GROUP BY run_id, round, problem_id, replicate

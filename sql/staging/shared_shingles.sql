-- Grain: one row per run, round, problem, replicate and slot that saw messages and whose conclusion has five
-- words or more: how much of it stands in the messages it saw, and in messages it did not see. Graded or not.
-- A shingle is a run of five words, in lower case and between ASCII white space, so that texts in a script
-- without spaces have none; equal ones of a text count once. Messages without one are left out.
-- `seen`: share of the conclusion's shingles that stand in some message it saw. `unseen`: in some message at
-- the same positions of the next replicate (after the last the first), less those made of trajectories it saw:
-- about as many samples of the same problem, of which it knew nothing. `among`: share of the shingles of the
-- messages it saw that stand in more than one of them: how like each other samples are that knew nothing of
-- each other. Each is null where there is no such message, `among` also where it saw one.
-- Views of M are numbered by hash, so that what is joined and counted by is two numbers and no text.
WITH readers AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        hash(run_id, round, problem_id, replicate, list(position ORDER BY position)) AS view,
        list(position) AS positions,
        list(message_id) AS message_ids
    FROM seen_messages
    GROUP BY run_id, round, problem_id, replicate, slot
),

sources AS (
    SELECT
        any_value(readers.run_id) AS run_id,
        any_value(round) AS round,
        any_value(problem_id) AS problem_id,
        unnest([
            {'replicate': any_value(replicate), 'is_seen': true},
            {'replicate': (any_value(replicate) + 1) % any_value(runs.replicates), 'is_seen': false}
        ], recursive := true),
        any_value(replicate) AS own,
        view,
        any_value(positions) AS positions,
        any_value(message_ids) AS message_ids
    FROM readers
    JOIN runs USING (run_id)
    GROUP BY view
),

shown AS (
    SELECT
        sources.view,
        sources.is_seen,
        regexp_extract_all(lower(messages.text), '\S+') AS words
    FROM sources
    JOIN messages
        ON messages.run_id = sources.run_id
        AND messages.round = sources.round - 1
        AND messages.problem_id = sources.problem_id
        AND messages.replicate = sources.replicate
    WHERE
        list_contains(sources.positions, messages.position)
        AND (sources.is_seen OR NOT list_contains(sources.message_ids, messages.trajectory_id))
),

stock AS (
    SELECT
        view,
        shingle,
        count(*) FILTER (is_seen) AS seen,
        count(*) FILTER (NOT is_seen) AS unseen
    FROM (
        SELECT
            view,
            is_seen,
            unnest(list_distinct(list_transform(
                range(1, len(words) - 3),
                lambda i: hash(words[i], words[i + 1], words[i + 2], words[i + 3], words[i + 4])
            ))) AS shingle
        FROM shown
        WHERE len(words) > 4
    )
    GROUP BY view, shingle
),

views AS (
    SELECT
        view,
        sum(seen) > 0 AS has_seen,
        sum(unseen) > 0 AS has_unseen,
        sum(seen) FILTER (seen > 1) AS shared,
        sum(seen) AS placed
    FROM stock
    GROUP BY view
),

said AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        hash(run_id, round, problem_id, replicate, slot) AS reader,
        readers.view,
        readers.positions,
        regexp_extract_all(lower(standing.conclusion), '\S+') AS words
    FROM readers
    JOIN standing_trajectories AS standing USING (run_id, round, problem_id, replicate, slot)
),

stated AS (
    SELECT
        view,
        reader,
        unnest(list_distinct(list_transform(
            range(1, len(words) - 3),
            lambda i: hash(words[i], words[i + 1], words[i + 2], words[i + 3], words[i + 4])
        ))) AS shingle
    FROM said
    WHERE len(words) > 4
),

shares AS (
    SELECT
        reader,
        avg(coalesce(stock.seen > 0, false)::INTEGER) AS seen,
        avg(coalesce(stock.unseen > 0, false)::INTEGER) AS unseen
    FROM stated
    LEFT JOIN stock USING (view, shingle)
    GROUP BY reader
)

SELECT
    said.run_id,
    said.round,
    said.problem_id,
    said.replicate,
    said.slot,
    if(views.has_seen, shares.seen, NULL) AS seen,
    if(views.has_unseen, shares.unseen, NULL) AS unseen,
    if(len(said.positions) > 1, coalesce(views.shared, 0) / nullif(views.placed, 0), NULL) AS among
FROM said
JOIN shares USING (reader)
LEFT JOIN views USING (view)

-- Grain: one row per run, round, problem, replicate and slot that saw messages and whose conclusion has five
-- words or more: how much of it is in the messages it saw, and in messages it did not see. Graded or not.
-- A shingle is a run of five words, in lower case and between ASCII white space, so that texts in a script
-- without spaces have none; equal ones of a text count once. Messages without one are left out.
-- `seen`: share of the conclusion's shingles that are in some message it saw. `unseen`: in some message at
-- the same positions of the next replicate (after the last the first), less those made of trajectories it saw:
-- about as many samples of the same problem, of which it was shown nothing. `among`: of the messages it saw
-- one, that of the smallest trajectory id, against the others: how alike independent samples
-- are. Each is null where there is no such message, `among` also where the one has no shingle.
-- Texts are long and shingles many, so that only those of the few texts that are needed are kept, and all
-- messages are streamed. Views of M, and texts, are numbered by hash: counting goes by numbers, not names.
WITH readers AS (
    SELECT
        run_id,
        round,
        problem_id,
        replicate,
        slot,
        hash('reader', run_id, round, problem_id, replicate, slot) AS reader,
        hash('view', run_id, round, problem_id, replicate, list(position ORDER BY position)) AS view,
        list(position) AS positions,
        list(message_id) AS message_ids
    FROM seen_messages
    GROUP BY run_id, round, problem_id, replicate, slot
),

views AS (
    SELECT
        any_value(run_id) AS run_id,
        any_value(round) AS round,
        any_value(problem_id) AS problem_id,
        any_value(replicate) AS replicate,
        any_value(runs.replicates) AS replicates,
        view,
        any_value(positions) AS positions,
        any_value(message_ids) AS message_ids,
        list_min(any_value(message_ids)) AS witness_id
    FROM readers
    JOIN runs USING (run_id)
    GROUP BY view
),

sources AS (
    SELECT *, replicate AS source, true AS is_seen
    FROM views
    UNION ALL
    SELECT *, (replicate + 1) % replicates AS source, false AS is_seen
    FROM views
    WHERE replicates > 1
),

-- Whether a message is one that was shown is a column and no condition: the planner takes conditions to leave
-- few rows, and would then keep the messages and stream the few texts.
shown AS NOT MATERIALIZED (
    SELECT
        sources.view,
        sources.is_seen,
        messages.trajectory_id = sources.witness_id AS is_witness,
        list_contains(sources.positions, messages.position)
        AND (sources.is_seen OR NOT list_contains(sources.message_ids, messages.trajectory_id))
        AND regexp_matches(messages.text, '(\S+\s+){4}\S')
            AS is_shown,
        messages.text
    FROM messages
    JOIN sources
        ON messages.run_id = sources.run_id
        AND messages.round = sources.round - 1
        AND messages.problem_id = sources.problem_id
        AND messages.replicate = sources.source
),

kinds AS (
    SELECT
        view,
        bool_or(is_shown AND is_seen) AS has_seen,
        bool_or(is_shown AND NOT is_seen) AS has_unseen,
        bool_or(is_shown AND is_seen AND NOT is_witness) AS has_others
    FROM shown
    GROUP BY view
),

asked AS (
    SELECT
        readers.reader AS asker,
        readers.view,
        false AS is_witness,
        standing.conclusion AS said
    FROM readers
    JOIN trajectories AS standing USING (run_id, round, problem_id, replicate, slot)
    UNION ALL
    SELECT view AS asker, view, true AS is_witness, text AS said
    FROM shown
    WHERE is_shown AND is_seen AND is_witness
),

stated AS MATERIALIZED (
    SELECT asker, view, is_witness, unnest(shingles) AS shingle
    FROM (
        SELECT
            asker,
            view,
            is_witness,
            list_distinct(list_transform(
                range(1, len(words) - 3),
                lambda i: hash(words[i], words[i + 1], words[i + 2], words[i + 3], words[i + 4])
            )) AS shingles
        FROM (SELECT *, spaced(said) AS parts, without_empty(parts) AS words FROM asked)
    )
),

placed AS (
    SELECT
        view,
        is_seen,
        is_witness AS of_witness,
        unnest(if(is_shown, list_transform(
            range(1, len(words) - 3),
            lambda i: hash(words[i], words[i + 1], words[i + 2], words[i + 3], words[i + 4])
        ), [])) AS shingle
    FROM (SELECT *, spaced(text) AS parts, without_empty(parts) AS words FROM shown)
),

met AS (
    SELECT
        view,
        shingle,
        bool_or(is_seen) AS is_in_seen,
        bool_or(is_seen AND NOT of_witness) AS is_in_others,
        bool_or(NOT is_seen) AS is_in_unseen
    FROM placed
    SEMI JOIN stated USING (view, shingle)
    GROUP BY view, shingle
),

shares AS (
    SELECT
        asker,
        count(*) FILTER (if(is_witness, is_in_others, is_in_seen)) / nullif(count(*), 0) AS seen,
        count(*) FILTER (is_in_unseen) / nullif(count(*), 0) AS unseen
    FROM stated
    LEFT JOIN met USING (view, shingle)
    GROUP BY asker
)

SELECT
    readers.run_id,
    readers.round,
    readers.problem_id,
    readers.replicate,
    readers.slot,
    if(kinds.has_seen, own.seen, NULL) AS seen,
    if(kinds.has_unseen, own.unseen, NULL) AS unseen,
    if(kinds.has_others, witness.seen, NULL) AS among
FROM readers
JOIN shares AS own ON own.asker = readers.reader
LEFT JOIN kinds USING (view)
LEFT JOIN shares AS witness ON witness.asker = readers.view

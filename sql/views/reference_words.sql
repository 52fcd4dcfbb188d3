-- Grain: one row per run, round, problem, replicate and slot whose current trajectory was generated: how often
-- it mentions references. Graded or not.
-- Counted in all that was generated, thoughts included. `reference` and `reference_zh`: 'reference' and '参考'
-- anywhere, within other words too; `ref_number`: 'Ref ' or 'ref ' before a number. Upper and lower case are as
-- written here: `capitalised`, 'Reference', is counted apart. `characters` is the length of it all.
WITH texts AS (
    SELECT run_id, trajectory_id, concat_ws(chr(10), reasoning, content) AS said
    FROM trajectory_texts
),

counted AS (
    SELECT
        run_id,
        trajectory_id,
        max(length(said)) AS characters,
        max(len(string_split(said, 'reference')) - 1) AS reference,
        max(len(string_split(said, '参考')) - 1) AS reference_zh,
        max(len(regexp_extract_all(said, '[Rr]ef [0-9]+'))) AS ref_number,
        max(len(string_split(said, 'Reference')) - 1) AS capitalised
    FROM texts
    GROUP BY run_id, trajectory_id
)

SELECT
    standing.run_id,
    standing.round,
    standing.problem_id,
    standing.replicate,
    standing.slot,
    counted.characters,
    counted.reference,
    counted.reference_zh,
    counted.ref_number,
    counted.capitalised,
    counted.reference + counted.reference_zh + counted.ref_number AS words
FROM trajectories AS standing
JOIN counted
    ON counted.run_id = standing.text_run_id
    AND counted.trajectory_id = standing.trajectory_id

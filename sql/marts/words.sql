-- Grain: one row per run and round: how often a trajectory speaks of references (Figure 5). Round 1 saw none,
-- and is the control. Graded or not; places count by the attempt that stands, where it was generated.
-- Counted are the paper's words, as they are written there: `reference` and '参考' anywhere, within other words
-- too, and 'Ref ' or 'ref ' before a number; in all that was generated, thoughts included. `Reference`, with
-- which a sentence may begin, is not among them and stands apart.
-- `step` is what the round does. `trajectories`, `words` in all of them; `reference`, `reference_zh`, `ref_number`
-- and their sum `words_mean`: means a trajectory; `any_rate`: share of trajectories with at least one;
-- `per_thousand_characters`: `words` a thousand characters; `capitalised`: `Reference`, mean a trajectory.
WITH counted AS (
    SELECT
        run_id,
        trajectory_id,
        any_value(length(said)) AS characters,
        any_value(len(string_split(said, 'reference')) - 1) AS reference,
        any_value(len(string_split(said, '参考')) - 1) AS reference_zh,
        any_value(len(regexp_extract_all(said, '[Rr]ef [0-9]+'))) AS ref_number,
        any_value(len(string_split(said, 'Reference')) - 1) AS capitalised
    FROM (
        SELECT run_id, trajectory_id, concat_ws(chr(10), reasoning, content) AS said
        FROM trajectory_texts
    )
    GROUP BY run_id, trajectory_id
),

placed AS (
    SELECT
        standing.run_id,
        standing.round,
        runs.steps[standing.round] AS step,
        counted.* EXCLUDE (run_id, trajectory_id),
        reference + reference_zh + ref_number AS words
    FROM standing_trajectories AS standing
    JOIN runs ON runs.run_id = standing.run_id
    JOIN counted
        ON counted.run_id = standing.text_run_id
        AND counted.trajectory_id = standing.trajectory_id
)

SELECT
    run_id,
    round,
    any_value(step) AS step,
    count(*) AS trajectories,
    sum(words)::BIGINT AS words,
    avg(reference) AS reference,
    avg(reference_zh) AS reference_zh,
    avg(ref_number) AS ref_number,
    avg(words) AS words_mean,
    avg((words > 0)::INTEGER) AS any_rate,
    1000 * sum(words) / nullif(sum(characters), 0) AS per_thousand_characters,
    avg(capitalised) AS capitalised
FROM placed
GROUP BY run_id, round
ORDER BY run_id, round

-- Grain: one row per run and round: how often a trajectory mentions references (Figure 5). Round 1 saw none,
-- and is the control. Graded or not; slots count by their current attempt, where it was generated.
-- Counted are the paper's words, in the case it gives them: 'reference' and '参考' anywhere, within other words
-- too, and 'Ref ' or 'ref ' before a number; in all that was generated, thoughts included. 'Reference', with
-- which a sentence may begin, is not among them and is counted apart.
-- `step` is what the round does. `trajectories`, and `words` in all of them; `reference`, `reference_zh`,
-- `ref_number` and their sum `words_mean`: means a trajectory; `any_rate`: share of trajectories with at least
-- one; `per_thousand_characters`: `words` a thousand characters; `capitalised`: 'Reference', mean a trajectory.
SELECT
    run_id,
    round,
    any_value(runs.steps[round]) AS step,
    count(*) AS trajectories,
    sum(found.words)::BIGINT AS words,
    avg(found.reference) AS reference,
    avg(found.reference_zh) AS reference_zh,
    avg(found.ref_number) AS ref_number,
    avg(found.words) AS words_mean,
    avg((found.words > 0)::INTEGER) AS any_rate,
    1000 * sum(found.words) / nullif(sum(found.characters), 0) AS per_thousand_characters,
    avg(found.capitalised) AS capitalised
FROM reference_words AS found
JOIN runs USING (run_id)
GROUP BY run_id, round
ORDER BY run_id, round

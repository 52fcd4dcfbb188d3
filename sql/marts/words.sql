-- Grain: one row per run and round: how often a trajectory mentions references (Figure 5).
-- Round 1 saw none, and is the control. Graded or not; slots count by their current attempt, where it was generated.
-- Counted are the paper's words, in the case it gives them: 'reference' and '参考' anywhere, within other words
-- too, and 'Ref ' or 'ref ' before a number; in all that was generated, thoughts included. 'Reference', with
-- which a sentence may begin, is not among them and is counted apart.
-- Columns:
--   runs.run_id
--   trajectories.round
--   mart_message_accuracy.step
--   trajectories BIGINT: Trajectories that were generated.
--   words BIGINT: The paper's words in all of them.
--   reference DOUBLE: Mean number of 'reference' in a trajectory.
--   reference_zh DOUBLE: Mean number of '参考' in a trajectory.
--   ref_number DOUBLE: Mean number of 'Ref ' or 'ref ' before a number in a trajectory.
--   words_mean DOUBLE: Sum of the three.
--   any_rate DOUBLE in [0, 1]: Share of trajectories with at least one of these words.
--   per_thousand_characters DOUBLE in 1 / 1000 characters: These words a thousand characters.
--   capitalised DOUBLE: Mean number of 'Reference' in a trajectory.
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

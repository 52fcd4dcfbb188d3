-- Grain: one row per run: how many trajectories lack the evidence, and of how many.
-- Whether a text ended or was cut is guessed from its form where the server has no word for it, or an unknown one. Words
-- that say why a text was withheld or stopped are known.
SELECT
    run_id,
    'observed' AS part,
    'finish_reasons' AS rule,
    1 AS version,
    'the server told how each text ended, in words with a known meaning' AS says,
    'end of the text not known in' AS lack,
    'trajectories' AS unit,
    0.0::DOUBLE AS allowed,
    coalesce(sum(trajectories) FILTER (NOT regexp_matches(
        finish_said,
        '(?i)filter|safety|sensitive|recitation|block|prohibit|spii|language|guardrail|copyright|toxic'
        '|repetit|loop'
    )), 0)::BIGINT AS lacking,
    sum(trajectories)::BIGINT AS total
FROM reply_kinds
WHERE is_generated
GROUP BY run_id

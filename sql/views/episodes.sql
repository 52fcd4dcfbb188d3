-- Grain: one row per run, round, problem, replicate and slot that saw messages, of graded runs: one step
-- from messages to a trajectory, which training takes as an episode (section 2.2).
-- `step` is what the round does (`sample`, `condense`, `distill`). `is_decided`: whether the trajectory and
-- every message it saw have a score; measures are over those episodes alone. `seen` counts its messages,
-- `right_seen` the right ones, `answers` their different answers, `leaders` those of them that most messages
-- give (a message without an answer gives none).
-- `majority`: `none_right` where no message is right; else, by the leaders, `right` where each is right,
-- `wrong` where none is, `tied` where some are. `leader_key` is the leader, null where several are tied;
-- `is_copy`: whether the trajectory's answer is that of a message it saw, null where it gives no answer;
-- `first_key` the answer of its first reference, `references` all of them, as in `seen_answers`.
SELECT
    run_id,
    round,
    problem_id,
    replicate,
    slot,
    runs.steps[round] AS step,
    saw.judged_seen = saw.seen AND saw.is_right IS NOT NULL AS is_decided,
    saw.is_right,
    saw.answer_key,
    saw.seen,
    saw.right_seen,
    saw.answers,
    saw.leaders,
    CASE
        WHEN saw.right_seen = 0 THEN 'none_right'
        WHEN saw.right_leaders = saw.leaders THEN 'right'
        WHEN saw.right_leaders > 0 THEN 'tied'
        ELSE 'wrong'
    END AS majority,
    saw.leader_key,
    saw.first_key,
    if(saw.answer_key IS NULL, NULL, coalesce(list_contains(saw.keys, saw.answer_key), false)) AS is_copy,
    saw."references"
FROM seen_answers AS saw
JOIN runs USING (run_id)

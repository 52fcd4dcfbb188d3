-- Grain: one row per run, round, problem and replicate under a rule that stops early: how the rule decided the set.
-- A set that waits for what the engine failed at has none yet.
-- Columns:
--   runs.run_id
--   round INTEGER: Number of the round, from 1.
--   problems.problem_id
--   trajectories.replicate
--   rule VARCHAR: The rule, such as `votes:0.95,batch:8`.
--   width INTEGER: Slots of the set.
--   begun INTEGER: Slots that the rule had begun when it decided.
--   is_stopped BOOLEAN: Whether it decided before all slots had their trajectories.
--   reason VARCHAR: The part of the rule that decided; `votes` and `lead` also where the second answer could no longer
--     reach the first; null where the set was not stopped.
--   probability DOUBLE in [0, 1]: That the leading answer leads, by the rule's last decision; null where it asks none.
--   trajectory_ids VARCHAR[]: Trajectories that had arrived, in their order.
--   answer_keys VARCHAR[]: For each the key of its answer, equal for equivalent ones; null where it gave no vote.
--   messages INTEGER: How many of them had a message.
--   seen_tokens BIGINT in tokens: What they took.
--   aborted VARCHAR[]: Trajectories that were aborted in flight, in the order of their slots.
--   aborted_tokens BIGINT[] in tokens: What each of those had cost by then.
--   not_begun INTEGER: Slots that nothing was sent for.
--   message_keys VARCHAR[]: Of each message that the prompts of the set show the key of its answer, where the rule looks
--     at them; by position.
--   ends_with VARCHAR: The trajectory whose message has the answer, as the messages of the set agree; null where the
--     next round follows.
--   decided_at TIMESTAMP in UTC: When it was decided.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    problem_id,
    replicate,
    rule,
    width,
    begun,
    is_stopped,
    unfiltered(reason) AS reason,
    probability,
    trajectory_ids,
    answer_keys,
    messages,
    seen_tokens,
    aborted,
    aborted_tokens,
    not_begun,
    message_keys,
    unfiltered(ends_with) AS ends_with,
    decided_at AT TIME ZONE 'UTC' AS decided_at
FROM read_parquet(getvariable('stops_files'), hive_partitioning = false)

-- Grain: one row per run, round, problem, replicate, slot and attempt. Times are UTC.
-- `prompt_messages`: messages the prompt showed, where they did not all fit the window.
-- `prompt_positions`: the positions of those messages in M, null where it was to show all of M.
-- `retry_of`: the trajectory of this slot that `pacore retry` replaced, and `max_tokens` the limit it
-- gave. `cached_prompt_tokens`: those of the prompt's that the server had in its cache, null where it
-- does not report them. `finish_said`: the server's own word for the end of a text, where it means neither
-- that the model ended it nor that a limit cut it. `unread`: JSON of what the server sent beside the text
-- (tool calls, parts that nobody can read). `wire`: the form in which the request was sent, where it is not
-- the usual one.
-- Files of runs begun before there were these columns lack them, and only then are the columns
-- of every file read.
SELECT
    run_of(filename) AS run_id,
    round_of(filename) AS round,
    problem_id,
    replicate,
    slot,
    draw,
    trajectory_id,
    seed,
    finish_reason,
    prompt_tokens,
    completion_tokens,
    conclusion,
    conclusion_status,
    attempt,
    reused,
    unfiltered(error) AS error,
    usage_source,
    wasted_tokens,
    tries,
    thinking_closed,
    reasoning_characters,
    content_characters,
    text_run_id,
    prompt_digest,
    engine,
    unfiltered(engine_version) AS engine_version,
    unfiltered(served_model) AS served_model,
    unfiltered(fingerprint) AS fingerprint,
    latency_seconds,
    generated_at AT TIME ZONE 'UTC' AS generated_at,
    prompt_messages,
    max_tokens,
    unfiltered(retry_of) AS retry_of,
    cached_prompt_tokens,
    prompt_positions,
    unfiltered(finish_said) AS finish_said,
    unfiltered(unread) AS unread,
    unfiltered(wire) AS wire
FROM read_parquet(
    getvariable('trajectories_files'),
    hive_partitioning = false,
    union_by_name = getvariable('has_older_files')
)

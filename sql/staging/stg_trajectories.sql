-- Grain: one row per run, round, problem, replicate, slot and attempt: every attempt, those that were replaced
-- included.
-- Columns:
--   runs.run_id
--   round INTEGER: Number of the round, from 1.
--   problems.problem_id
--   replicate INTEGER: Number of the independent pass, from 0.
--   slot INTEGER: Number of the trajectory among those of its round, from 0.
--   draw INTEGER: Number of the sample among all of this prompt, from 0.
--   trajectory_id VARCHAR: Digest of recipe, prompt, draw and attempt; two runs that share it share the trajectory.
--   seed BIGINT: Seed that was sent, which follows from the same four.
--   finish_reason VARCHAR: How it ended: `stop`, `length`, `context_overflow`, `rejected`, `engine_error`,
--     `timeout`, `cancelled`, or `aborted` where its set was decided without it.
--   prompt_tokens INTEGER in tokens: Length of the prompt; null where nobody counted it.
--   completion_tokens INTEGER in tokens: Length of what was generated, thoughts included, of one that was aborted until
--     then; null where nobody counted.
--   conclusion VARCHAR: What it came to, after the thoughts; null where it came to nothing.
--   conclusion_status VARCHAR: `present`, `empty`, `truncated`, or `none` where nothing was generated.
--   attempt SMALLINT: Number of the attempt at this slot, from 0.
--   reused BOOLEAN: Whether the store had it already, so that this run did not generate it.
--   error VARCHAR: Why there is no generation, in a line; null where there is one.
--   usage_source VARCHAR: Who counted the tokens: `server`, `tokenizer`, `stream` where they are the pieces of a stream
--     that was closed, or `unknown` where nobody did.
--   wasted_tokens BIGINT in tokens: What tries that broke off are known to have cost.
--   tries INTEGER: Requests that were sent for it; of `cancelled` and `aborted` ones 0 where nothing was sent.
--   thinking_closed BOOLEAN: Whether its thoughts came to an end; null where nothing shows that the model thinks.
--   reasoning_characters BIGINT in characters: Length of its thoughts.
--   content_characters BIGINT in characters: Length of its content as the server sent it.
--   text_run_id VARCHAR: The run with which its texts are stored; join `trajectory_texts` by it.
--   prompt_digest VARCHAR: The sha256 of the turns that were sent.
--   engine VARCHAR: Kind of engine that generated it.
--   engine_version VARCHAR: Version that the engine reported; null where it reports none.
--   served_model VARCHAR: Model name that the server reported; null where it reports none.
--   fingerprint VARCHAR: The server's fingerprint of its system; null where it reports none.
--   latency_seconds DOUBLE in seconds: Time from the request to the end of the response.
--   generated_at TIMESTAMP in UTC: When it was generated, by this run or the one that it is reused from.
--   prompt_messages INTEGER: Messages in the prompt where they did not all fit the window; else null.
--   max_tokens INTEGER in tokens: Limit of this attempt where `pacore retry` or the round gave one; else null.
--   retry_of VARCHAR: Trajectory of this slot that `pacore retry` replaced by it; else null.
--   cached_prompt_tokens INTEGER in tokens: Those of the prompt that the server had in its cache; null where it
--     does not report them.
--   prompt_positions INTEGER[]: Positions of the messages in the prompt; null where it was to show all.
--   finish_said VARCHAR: The server's word for the end, where it means neither `stop` nor `length`; else null.
--   unread VARCHAR in JSON: What the server sent beside the text, such as tool calls; else null.
--   wire VARCHAR: Form in which the request was sent, where it is not the usual one; else null.

-- Files of runs begun before there were all of these columns lack some, and only then are the columns
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

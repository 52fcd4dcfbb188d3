-- Grain: one row per run of `pacore value` and problem of it: a set in which the messages of one message set of
-- another run are tried (`pacore.evaluation.values.design`).
-- `source_run_id`, `round`, `problem_id`, `replicate`: whose messages, of the round before; `treatment`: what the
-- levels are; `matrix_order`: of the Hadamard matrix that the sets are of; `sets`: how many there are of this
-- message set; `message_ids`: the trajectories its messages were made of, in their order; `upper`: positions of
-- the messages with the upper level.
-- `prompt_digest`: of its prompt; equal for sets that show the same texts, whose trajectories are the same.
-- `episodes`: trajectories with a score; `accuracy`: their mean score; `prompt_tokens` and `generated_tokens`: the
-- mean over all trajectories, null where one was not counted.
WITH tried AS (
    SELECT
        run_id,
        problem_id,
        json_extract(metadata, '$.message_value') AS of_set
    FROM problems
    WHERE metadata LIKE '%"message_value":{%'
),

measured AS (
    SELECT
        run_id,
        problem_id,
        count(score) AS episodes,
        avg(score) AS accuracy
    FROM scores
    GROUP BY run_id, problem_id
),

counted AS (
    SELECT
        run_id,
        problem_id,
        any_value(prompt_digest) AS prompt_digest,
        if(count(prompt_tokens) = count(*), avg(prompt_tokens), NULL) AS prompt_tokens,
        if(count(completion_tokens) = count(*), avg(completion_tokens), NULL) AS generated_tokens
    FROM trajectories
    GROUP BY run_id, problem_id
)

SELECT
    tried.run_id,
    json_extract_string(of_set, '$.run_id') AS source_run_id,
    (json_extract_string(of_set, '$.round'))::INTEGER AS round,
    json_extract_string(of_set, '$.treatment') AS treatment,
    json_extract_string(of_set, '$.problem_id') AS problem_id,
    (json_extract_string(of_set, '$.replicate'))::INTEGER AS replicate,
    (json_extract_string(of_set, '$.number'))::INTEGER AS number,
    (json_extract_string(of_set, '$.order'))::INTEGER AS matrix_order,
    (json_extract_string(of_set, '$.sets'))::INTEGER AS sets,
    json_extract(of_set, '$.messages')::VARCHAR[] AS message_ids,
    json_extract(of_set, '$.upper')::INTEGER[] AS upper,
    prompt_digest,
    coalesce(episodes, 0) AS episodes,
    accuracy,
    prompt_tokens,
    generated_tokens
FROM tried
LEFT JOIN measured ON measured.run_id = tried.run_id AND measured.problem_id = tried.problem_id
LEFT JOIN counted ON counted.run_id = tried.run_id AND counted.problem_id = tried.problem_id

-- Grain: one row per problem, replicate and slot of the trajectories file $path: the current
-- attempt, compared with `pacore.core.quorum.History` by a test. `tombstones` counts the slot's attempts, since it was last retried, that this run itself
-- saw fail in the engine, those that were not sent or aborted aside; `refills` those the model finished after the first.
-- The schema is spelled out because files of an earlier version lack its last column.
WITH attempts AS (
    SELECT
        *,
        finish_reason NOT IN ('rejected', 'engine_error', 'timeout', 'cancelled', 'aborted') AS finished
    FROM read_parquet($path, hive_partitioning = false, schema = MAP {
        'problem_id': {'name': 'problem_id', 'type': 'VARCHAR', 'default_value': NULL},
        'replicate': {'name': 'replicate', 'type': 'INTEGER', 'default_value': NULL},
        'slot': {'name': 'slot', 'type': 'INTEGER', 'default_value': NULL},
        'trajectory_id': {'name': 'trajectory_id', 'type': 'VARCHAR', 'default_value': NULL},
        'attempt': {'name': 'attempt', 'type': 'SMALLINT', 'default_value': NULL},
        'conclusion': {'name': 'conclusion', 'type': 'VARCHAR', 'default_value': NULL},
        'content_characters': {
            'name': 'content_characters', 'type': 'BIGINT', 'default_value': NULL
        },
        'finish_reason': {'name': 'finish_reason', 'type': 'VARCHAR', 'default_value': NULL},
        'conclusion_status': {
            'name': 'conclusion_status', 'type': 'VARCHAR', 'default_value': NULL
        },
        'tries': {'name': 'tries', 'type': 'INTEGER', 'default_value': NULL},
        'error': {'name': 'error', 'type': 'VARCHAR', 'default_value': NULL},
        'reused': {'name': 'reused', 'type': 'BOOLEAN', 'default_value': NULL},
        'retry_of': {'name': 'retry_of', 'type': 'VARCHAR', 'default_value': NULL}
    })
)

SELECT
    problem_id,
    replicate,
    slot,
    trajectory_id,
    attempt,
    conclusion,
    content_characters,
    finish_reason,
    conclusion_status,
    error,
    count(*) FILTER (
        NOT reused AND NOT finished AND finish_reason <> 'aborted'
        -- An imported failure was sent elsewhere.
        AND (finish_reason <> 'cancelled' OR tries IS DISTINCT FROM 0)
    ) OVER since_retried AS tombstones,
    greatest(0, count(*) FILTER (finished) OVER since_retried - 1) AS refills
FROM attempts
WINDOW
    slots AS (PARTITION BY problem_id, replicate, slot),
    since_retried AS (PARTITION BY problem_id, replicate, slot, retry_of)
QUALIFY attempt = max(attempt) OVER slots
ORDER BY problem_id, replicate, slot

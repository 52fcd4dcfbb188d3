-- Grain: one row per round, measure, part and problem of run $run_id: of the `episodes` that a measure is
-- about, `such` meet it, so that it is a ratio of sums over problems.
-- Measures are the columns of `mart_emergence`, `mart_rescues`, `mart_copying` and `mart_positions`, whose
-- `part` is the number of the reference, 0 elsewhere; and `correct`, the outcome by the share of right messages
-- seen, whose `part` is 0 for none, 1 to 4 for up to so many quarters, and 5 for all.
WITH mine AS (
    SELECT *
    FROM episodes
    WHERE run_id = $run_id AND is_decided
),

placed AS (
    SELECT
        round,
        problem_id,
        answer_key AS output_key,
        is_right AS is_output_right,
        unnest("references", recursive := true)
    FROM mine
    WHERE answers > 1 AND answer_key IS NOT NULL
),

asked AS (
    SELECT
        round,
        problem_id,
        unnest([
            {'measure': 'emergent_rate', 'part': 0, 'is_of': right_seen = 0, 'is_such': is_right},
            {'measure': 'base_rate', 'part': 0, 'is_of': right_seen > 0, 'is_such': is_right},
            {'measure': 'rescued', 'part': 0, 'is_of': majority = 'wrong', 'is_such': is_right},
            {'measure': 'lost', 'part': 0, 'is_of': majority = 'right', 'is_such': NOT is_right},
            {
                'measure': 'lost_unanswered',
                'part': 0,
                'is_of': majority = 'right',
                'is_such': answer_key IS NULL
            },
            {'measure': 'tied_correct', 'part': 0, 'is_of': majority = 'tied', 'is_such': is_right},
            {'measure': 'copied', 'part': 0, 'is_of': answer_key IS NOT NULL, 'is_such': is_copy},
            {
                'measure': 'copied_majority',
                'part': 0,
                'is_of': answer_key IS NOT NULL AND leaders = 1,
                'is_such': answer_key = leader_key
            },
            {
                'measure': 'copied_first',
                'part': 0,
                'is_of': answer_key IS NOT NULL,
                'is_such': answer_key = first_key
            },
            {'measure': 'novel', 'part': 0, 'is_of': answer_key IS NOT NULL, 'is_such': NOT is_copy},
            {'measure': 'copied_accuracy', 'part': 0, 'is_of': is_copy, 'is_such': is_right},
            {'measure': 'novel_accuracy', 'part': 0, 'is_of': NOT is_copy, 'is_such': is_right},
            {
                'measure': 'correct',
                'part': if(right_seen = seen, 5, ceil(4 * right_seen / nullif(seen, 0))::INTEGER),
                'is_of': true,
                'is_such': is_right
            }
        ], recursive := true)
    FROM mine
    UNION ALL
    SELECT
        round,
        problem_id,
        unnest([
            {
                'measure': 'position_copied',
                'part': reference,
                'is_of': true,
                'is_such': answer_key = output_key
            },
            {
                'measure': 'position_accuracy',
                'part': reference,
                'is_of': true,
                'is_such': is_right
            },
            {
                'measure': 'position_right_when_correct',
                'part': reference,
                'is_of': is_output_right,
                'is_such': is_right
            }
        ], recursive := true)
    FROM placed
)

SELECT
    round,
    measure,
    part,
    problem_id,
    count(*) AS episodes,
    count(*) FILTER (is_such) AS such
FROM asked
WHERE is_of
GROUP BY round, measure, part, problem_id
ORDER BY round, measure, part, problem_id

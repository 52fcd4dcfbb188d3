-- Grain: one row per problem with equal content that runs $a and $b both have scores for.
-- `first_answers` and `second_answers` have a score, and `shared` of each are answers of the other too: decided
-- by the same trajectories.
WITH given AS (
    SELECT
        problems.problem_id,
        problems.content_digest,
        decided_by,
        count(*) FILTER (scores.run_id = $a) AS first_answers,
        count(*) FILTER (scores.run_id = $b) AS second_answers
    FROM scores
    JOIN problems USING (run_id, problem_id)
    JOIN deciding USING (run_id, problem_id, replicate)
    WHERE scores.score IS NOT NULL AND scores.run_id IN ($a, $b)
    GROUP BY problems.problem_id, problems.content_digest, decided_by
)

SELECT
    problem_id,
    sum(first_answers)::BIGINT AS first_answers,
    sum(second_answers)::BIGINT AS second_answers,
    sum(least(first_answers, second_answers))::BIGINT AS shared
FROM given
GROUP BY problem_id, content_digest
HAVING sum(first_answers) > 0 AND sum(second_answers) > 0
ORDER BY problem_id

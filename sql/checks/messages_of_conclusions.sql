-- Every message is made of a trajectory of its own round, problem and replicate with a conclusion, or
-- of the end or beginning of one that was cut, and its compactor says so. The reference policy takes any
-- content.
SELECT
    messages.run_id,
    messages.round,
    messages.problem_id,
    messages.replicate,
    messages.position,
    messages.trajectory_id
FROM messages
ANTI JOIN (
    SELECT * FROM trajectories WHERE conclusion_status <> 'none'
) AS said
    ON said.run_id = messages.run_id
    AND said.round = messages.round
    AND said.problem_id = messages.problem_id
    AND said.replicate = messages.replicate
    AND said.trajectory_id = messages.trajectory_id
    AND CASE
        WHEN starts_with(messages.compactor, 'reference/') THEN said.content_characters > 0
        ELSE said.conclusion_status <> 'empty'
            AND (said.conclusion IS NULL) = (
                starts_with(messages.compactor, 'tail(') OR starts_with(messages.compactor, 'cut(')
            )
    END

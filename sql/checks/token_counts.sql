-- A trajectory with a text took tokens, or its tokens were not counted.
SELECT run_id, round, problem_id, replicate, slot, attempt, finish_reason, completion_tokens
FROM all_trajectories
WHERE
    finish_reason IN ('stop', 'length')
    AND content_characters + reasoning_characters > 0
    AND completion_tokens <= 0

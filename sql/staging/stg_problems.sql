-- Grain: one row per run and problem: every run brings the whole of its frozen problem set.
-- Columns:
--   runs.run_id
--   problem_id VARCHAR: Id of the problem, unique in its set.
--   statement VARCHAR: Text of the last turn, which is the question.
--   gold VARCHAR: The gold answer; null where there is none.
--   grader VARCHAR: Grader that the problem names; null where it is chosen by the gold answer.
--   runs.problem_set
--   content_digest VARCHAR: The sha256 of question, gold answer and grader.
--   turns VARCHAR in JSON: All turns of the problem, each with role and content.
--   metadata VARCHAR in JSON: Other fields of the problem's row in its file; null where it has none.
--   position BIGINT: Number of the row in the file that the set was frozen from, from 0; null in sets that earlier
--     versions froze.
SELECT
    runs.run_id,
    frozen.problem_id,
    frozen.statement,
    frozen.gold,
    unfiltered(frozen.grader) AS grader,
    frozen.problem_set,
    frozen.content_digest,
    frozen.turns,
    unfiltered(frozen.metadata) AS metadata,
    frozen.position
FROM read_parquet(
    getvariable('problems_files'),
    hive_partitioning = false,
    union_by_name = true
) AS frozen
JOIN runs USING (problem_set)

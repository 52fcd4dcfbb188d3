-- Macros that relations are made with: the place of a file, how a trajectory ended, text that may be null, text as
-- JSON, and words.
--
-- Every data file lies at …/run_id=<run>/round=<round>/<name>. Only these two folders count, by their
-- place: DuckDB's own partitions would make a column of every folder called name=value above them, and
-- null of a run called NULL. DuckDB computes these for each file, and opens no file that a query leaves out.
CREATE MACRO run_of(path) AS substr(string_split(path, '/')[-3], 8);
CREATE MACRO round_of(path) AS CAST(substr(string_split(path, '/')[-2], 7) AS INTEGER);

-- Whether the model ended a trajectory, and not the engine, nor a rule that had decided its set.
CREATE MACRO is_finished(finish_reason) AS finish_reason NOT IN (
    'rejected', 'engine_error', 'timeout', 'cancelled', 'aborted'
);

-- DuckDB 2.0.0 takes every row of a page for null where the page's values are all equal, nulls aside, and a
-- filter is false of that value; so IS NULL gives them all. It does so where the page states its least and
-- greatest value itself: for text outside of dictionaries, in files without a page index, as tables were
-- once written. DuckDB pushes no filter through TRY, so text that may be null is read through this,
-- unless its column never had statistics.
CREATE MACRO unfiltered(value) AS TRY(value);

-- A text as JSON has it where equal data gives equal bytes (`canonical_json` of pacore.core.identity): DuckDB's
-- own to_json writes \u000B where that writes \u000b.
CREATE MACRO json_string(value) AS '"' || list_reduce(
    list_transform(range(32), lambda code: chr(code::INTEGER)),
    lambda text, mark: replace(text, mark, CASE unicode(mark)
        WHEN 8 THEN '\b'
        WHEN 9 THEN '\t'
        WHEN 10 THEN '\n'
        WHEN 12 THEN '\f'
        WHEN 13 THEN '\r'
        ELSE printf('\u%04x', unicode(mark))
    END),
    replace(replace(value, '\', '\\'), '"', '\"')
) || '"';

-- The words of a text in lower case: what is between ASCII white space. Three times as fast as a pattern.
CREATE MACRO spaced(value) AS string_split(replace(replace(replace(replace(
    lower(value), chr(9), ' '), chr(10), ' '), chr(12), ' '), chr(13), ' '), ' ');
CREATE MACRO without_empty(words) AS
    if(list_contains(words, ''), list_filter(words, lambda word: word <> ''), words);

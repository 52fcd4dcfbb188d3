-- Grain: one row per model of the price table that was given (`--prices`); none without one.
-- What a run cost is a join with this: no price is ever stored with a row.
-- Columns:
--   model VARCHAR: The model, named as in `runs`.
--   currency VARCHAR: Currency of the prices.
--   prompt_per_million DOUBLE in currency: Price of a million prompt tokens.
--   cached_prompt_per_million DOUBLE in currency: Price of a million prompt tokens that are in the server's cache.
--   completion_per_million DOUBLE in currency: Price of a million generated tokens.
SELECT model, currency, prompt_per_million, cached_prompt_per_million, completion_per_million
FROM read_parquet(getvariable('prices_files'), hive_partitioning = false)

-- Grain: one row per model of the price table that was given; none without one. Prices are of a million
-- tokens. What a run cost is a join with this: no price is ever stored with a row.
SELECT model, currency, prompt_per_million, cached_prompt_per_million, completion_per_million
FROM read_parquet(getvariable('prices_files'), hive_partitioning = false)

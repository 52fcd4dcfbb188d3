"""Reads rows from files: encodings and compressions, JSON, CSV and Parquet."""

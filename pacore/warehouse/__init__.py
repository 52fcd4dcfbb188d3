"""The warehouse: DuckDB over a store's committed files. The only package that imports duckdb.

All SQL stands in ``sql/``, one file a relation; this package only says which files a table is and
keeps people's own queries to reading. Rows come out as plain tuples and dicts.
"""

"""The warehouse: DuckDB over a store's committed files. The only package that imports duckdb.

All SQL is in ``sql/``, one file a relation; this package finds the files of each table and allows users'
own queries only to read. Rows of reports are records (`pacore.warehouse.report_rows`), other rows tuples.
"""

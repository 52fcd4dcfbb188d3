"""Stages: one module a noun, each turning a shard's committed inputs into its next table.

A stage is idempotent: what is committed is returned, what is missing is made. Nothing here uses
Prefect; `tasks/` wraps each in a task, and `runs.loop` calls them without it.
"""

"""Stages: one module a noun, each turning a shard's committed inputs into its next table.

A stage is idempotent: what is committed is returned, what is missing is made. Nothing here knows
of Prefect; `tasks/` wraps each in a task, and a plain loop may call them just as well.
"""

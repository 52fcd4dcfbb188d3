"""Kill whatever has a part in a run, at random moments, and compare its end with a whole run.

    python -m benchmarks.chaos --kills 500 --store both

A campaign is one run. One, two or three schedulers work on it at once, each with a model server of
its own; SIGKILL meets schedulers (plain processes and ``pacore run``), model servers and the S3
server. In a race the servers answer the same request differently, so that every shard is finished
by several who do not agree. Between two kills the store must have grown, so that a harness that
kills before anything happened cannot pass.
"""

"""Prefect flows: when and how often; what is done is in `pacore`."""

import tasks  # noqa: F401 - reads Prefect's settings before a flow imports Prefect

"""Prefect flows: when and how often; what is done stands in `pacore`."""

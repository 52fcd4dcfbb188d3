"""What the form for a run, which Prefect makes of the configuration's schema, shows a person."""

from __future__ import annotations

from typing import Any

_WRITTEN = {"api": "API", "ca": "CA", "id": "ID", "k": "k", "p": "p", "tls": "TLS", "vllm": "vLLM"}


def title_of(field: str) -> str:
    """A field's name as people write it: ``vllm_options`` is vLLM options, ``run_id`` is Run ID."""
    first, *others = field.split("_")
    words = [
        _WRITTEN.get(first, first.capitalize()),
        *(_WRITTEN.get(word, word) for word in others),
    ]
    return " ".join(words)


def make_readable(schema: dict[str, Any]) -> None:
    """Give the properties of an object's JSON Schema titles, and numbers that keep their order.

    A database may reorder the keys of a schema; Prefect's form goes by the numbers.
    """
    for position, (field, value) in enumerate(schema.get("properties", {}).items()):
        value["title"] = title_of(field)
        value["position"] = position

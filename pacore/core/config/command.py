"""Command lines of the settings of a run: the flag of each field, and the line that gives them all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pacore.core.config.run import RunConfig

REPEATED = {
    "endpoints": "--endpoint",
    "stop": "--stop",
    "omit": "--omit",
    "vllm_options": "--vllm-option",
}
"""Fields whose flag may be given several times, each with one of their values."""

SWITCHES = ("partial",)
"""Fields that are off unless their flag is given, which takes no value."""

DEFAULT_STORE = "./store"


def flag_of(field: str) -> str:
    """The flag that sets a configuration field: ``max_tokens`` is ``--max-tokens``."""
    return REPEATED.get(field, "--" + field.replace("_", "-"))


def changed_fields(config: RunConfig) -> dict[str, Any]:
    """The fields of a configuration that have another value than their default, in order."""
    return {
        name: getattr(config, name)
        for name, info in RunConfig.model_fields.items()
        if info.is_required() or getattr(config, name) != info.default
    }


def run_command_line(config: RunConfig) -> str:
    """The line for a shell that gives a configuration, fields with their default value left out."""
    return shlex.join(["pacore", "run", *_flags(changed_fields(config))])


def command_line(command: str, store: str, *arguments: str) -> str:
    """The line for a shell that runs a command on a store, which is named unless it is the default one."""
    named = [] if store == DEFAULT_STORE else ["--store", store]
    return shlex.join(["pacore", command, *named, *arguments])


def resume_command_line(store: str, run_id: str) -> str:
    """The line for a shell that finishes a run of a store."""
    return command_line("resume", store, run_id)


def _flags(values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        flag = flag_of(name)
        if name in SWITCHES:
            yield flag
            continue
        for text in value if name in REPEATED else [_typed(name, value)]:
            # A value that begins with a dash would be taken for a flag.
            yield from [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _typed(name: str, value: Any) -> str:
    """The value of a field as it is typed after its flag."""
    if name == "fields":
        return ",".join(f"{part}={path}" for part, path in value.items())
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value)) + (
            "," if len(value) == 1 and name == "min_messages" else ""
        )
    return str(value)

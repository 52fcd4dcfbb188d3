"""Configurations from a command line and a file: every flag is a field of a configuration."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
import yaml
from pydantic import ValidationError

from pacore.core.config.command import DEFAULT_STORE, REPEATED, flag_of
from pacore.core.config.fields import Declared, Settings
from pacore.core.config.run import RunConfig, declared_fields
from pacore.core.validation import FieldFault, field_faults
from pacore.errors import BadInput
from pacore.runs.retry import config_of
from pacore.store.backends.opening import check_folder, open_store
from pacore.store.run import open_run
from pacore.text import visible

Config = TypeVar("Config", bound=Settings)

METAVARS = {
    "widths": "K1,K2,…",
    "min_messages": "N|N1,N2,…",
    "chat_template_options": "JSON",
    "fields": "PART=PATH,…",
}


EXCLUSIVE = {"preset": "widths", "widths": "preset"}


def _choices(annotation: Any) -> tuple[str, ...]:
    """The texts that a field may be, or its members; none where it takes any."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _option(field: str, described: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    choices = _choices(RunConfig.model_fields[field].annotation)
    return click.option(
        flag_of(field),
        field,
        default=None,
        multiple=field in REPEATED,
        type=click.Choice(choices) if choices else str,
        metavar=METAVARS.get(field),
        help=described,
    )


def flags_given(flags: Mapping[str, object]) -> dict[str, Any]:
    """The flags that were typed, by field."""
    return {name: value for name, value in flags.items() if value is not None and value != ()}


def with_run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command one option for each field of `RunConfig`, ``--like`` and ``--config``.

    Values reach the command as they were typed; pydantic alone decides what they mean.
    """
    for name, info in reversed(RunConfig.model_fields.items()):
        default = None if info.is_required() or name in REPEATED else info.default
        shown = "" if default in (None, {}, ()) else f"  [default: {default}]"
        command = _option(name, f"{info.description}{shown}")(command)
    command = click.option(
        "--like",
        metavar="RUN",
        help="Settings of a run of the store, its name excepted; those of --config and flags override "
        "them.",
    )(command)
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        help="YAML or TOML file of the same fields; flags win.",
    )(command)


NEVER_ON_RESUME = ("problems", "fields", "limit", "run_id", "store", "shard_size")
"""Operational fields that a run has from its first start on."""


def with_operational_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for the fields that may change while a run is under way; without them, the run's."""
    names = [*declared_fields(Declared.OPERATIONAL), *declared_fields(Declared.OPTIONS)]
    for name in reversed([name for name in names if name not in NEVER_ON_RESUME]):
        described = RunConfig.model_fields[name].description
        command = _option(name, f"{described}  [default: the run's]")(command)
    return command


ENGINE_FIELDS = (
    "engine", "model", "endpoints", "temperature", "top_p", "max_tokens", "omit", "concurrency",
    "vllm_options", "api_key_env",
)  # fmt: skip
"""What may differ between a run and another that is derived from it."""


def with_engine_of(whose: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options for the fields of `ENGINE_FIELDS`, which are the run's where they are not given."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(ENGINE_FIELDS):
            described = RunConfig.model_fields[name].description
            command = _option(name, f"{whose}: {described}  [default: the run's]")(command)
        return command

    return decorate


def config_from(
    flags: Mapping[str, object],
    config_file: str | None,
    like: str | None = None,
    without: Sequence[str] = (),
) -> RunConfig:
    """Merge the settings of the run ``like``, a configuration file and flags, the later overriding.

    Fields of ``without`` are not taken from the run, nor is its name.
    Raises BadInput with a line for each field that is wrong, naming its flag or the file, and Refused
    for a run that is not in the store or was not generated here.
    """
    typed = {name: _parsed(name, value) for name, value in flags_given(flags).items()}
    given = overridden(read_config_file(config_file) if config_file else {}, typed)
    if like is not None:
        store = str(given.get("store", DEFAULT_STORE))
        check_folder(store)
        config = config_of(open_run(open_store(store), like), {"store": store})
        given = overridden(config.model_dump(exclude={"run_id", *without}), given)
    try:
        return RunConfig.model_validate(given)
    except ValidationError as invalid:
        lines = [_line(fault, typed, config_file) for fault in field_faults(invalid)]
        raise BadInput("\n".join(lines)) from None


def overridden(fields: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with others in their place, and without those that the others exclude."""
    replaced = {EXCLUSIVE[name] for name in others if name in EXCLUSIVE}
    if others.get("engine", fields.get("engine")) != fields.get("engine"):
        replaced |= {"endpoints", "vllm_options"}
    kept = {name: value for name, value in fields.items() if name not in replaced}
    return {**kept, **others}


def checked(model: type[Config], flags: Mapping[str, object]) -> Config:
    """The configuration that flags give. Raises BadInput with a line for each that is wrong."""
    typed = flags_given(flags)
    try:
        return model.model_validate(typed)
    except ValidationError as invalid:
        lines = [_line(fault, typed, None) for fault in field_faults(invalid)]
        raise BadInput("\n".join(lines)) from None


def _parsed(name: str, value: Any) -> Any:
    if name == "widths":
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if name == "chat_template_options":
        try:
            return json.loads(value)
        except ValueError as fault:
            raise BadInput(f"{flag_of(name)}: is not JSON: {fault}") from None
    return value


def _line(fault: FieldFault, typed: Mapping[str, object], config_file: str | None) -> str:
    if not fault.place:
        field, separator, rest = fault.what.partition(": ")
        is_field = separator and field in RunConfig.model_fields
        return f"{flag_of(field)}: {rest}" if is_field else fault.what
    field = str(fault.place[0])
    if fault.is_missing:
        return f"{flag_of(field)}: is needed"
    if field in typed or config_file is None:
        return f"{flag_of(field)}: {fault.what}"
    return f"{config_file}: {fault}"


def read_config_file(path: str) -> dict[str, Any]:
    """A YAML or TOML file as a dict. Raises BadInput naming the file, and the line where known."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"--config {path}: no such file") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BadInput(f"--config {path}: cannot be read: {fault}") from None
    try:
        if file.suffix == ".toml":
            loaded: Any = tomllib.loads(text)
        elif file.suffix in (".yaml", ".yml"):
            loaded = yaml.safe_load(text)
        else:
            raise BadInput(f"--config {path}: must end in .yaml, .yml or .toml")
    except tomllib.TOMLDecodeError as fault:
        raise BadInput(f"{path}: is not TOML: {fault}") from None
    except yaml.YAMLError as fault:
        what = " ".join(str(fault).split())
        raise BadInput(f"{path}: is not YAML: {what}") from None
    if not isinstance(loaded, dict):
        raise BadInput(f"{path}: must hold fields with values, such as 'preset: low'")
    return loaded


def say_cautions(cautions: Sequence[str]) -> None:
    """Print what in a problem set may make a run worthless, before anything is spent."""
    for text in cautions:
        click.echo(f"pacore: caution: {visible(text)}", err=True)

"""Configurations from a command line and a file: every flag is a field of a configuration."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import click
import yaml
from pydantic import BaseModel, ValidationError

from pacore.cli.options import OneOf
from pacore.core.config.command import DEFAULT_STORE, REPEATED, SWITCHES, flag_of
from pacore.core.config.fields import Declared, Settings
from pacore.core.config.run import RunConfig, declared_fields
from pacore.core.validation import UNKNOWN, FieldFault, field_faults
from pacore.errors import BadInput
from pacore.runs.settings import config_of
from pacore.store.backends.local import near_places
from pacore.store.backends.opening import check_folder, open_store
from pacore.store.run import open_run
from pacore.text import visible

Config = TypeVar("Config", bound=Settings)

Nested = TypeVar("Nested", bound=BaseModel)

METAVARS = {
    "widths": "K1,K2,…",
    "min_messages": "N|N1,N2,…",
    "stopping": "RULE|RULE1;RULE2;…",
    "chat_template_options": "JSON",
    "fields": "PART=PATH,…",
    "scorer": "FILE|WEIGHTS",
}


EXCLUSIVE = {"preset": "widths", "widths": "preset"}


def _choices(annotation: Any) -> tuple[str, ...]:
    """The texts that a field may be, or its members; none where it takes any."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _option(field: str, described: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    if field in SWITCHES:
        return click.option(flag_of(field), field, is_flag=True, default=None, help=described)
    choices = _choices(RunConfig.model_fields[field].annotation)
    return click.option(
        flag_of(field),
        field,
        default=None,
        multiple=field in REPEATED,
        type=OneOf(choices) if choices else str,
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
        shown = "" if name in SWITCHES or default in (None, {}, ()) else f"  [default: {default}]"
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
        help="YAML or TOML file of the same fields; flags override it.",
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
    "vllm_options", "api_key_env", "max_tokens_total", "max_cost", "prices", "max_hours", "partial",
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

    Fields of ``without`` are not taken from the run, nor is its name. Raises BadInput with a line for each
    field that is wrong, naming its flag or its line of the file, and Refused for a run that is not in the
    store or was not generated here.
    """
    file = read_config_file(config_file) if config_file else ConfigFile("", {}, {})
    typed = {name: _parsed(name, value) for name, value in flags_given(flags).items()}
    given = overridden(file.values, typed)
    if like is not None:
        store = str(given.get("store", DEFAULT_STORE))
        check_folder(store)
        config = config_of(open_run(open_store(store), like), {"store": store})
        given = overridden(config.model_dump(exclude={"run_id", *without}), given)
    return _validated(RunConfig, given, lambda field: file.place(field, typed))


def overridden(fields: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Fields with others in their place, and without those that the others exclude."""
    replaced = {EXCLUSIVE[name] for name in others if name in EXCLUSIVE}
    engine = fields.get("engine", RunConfig.model_fields["engine"].default)
    if others.get("engine", engine) != engine:
        replaced |= {"endpoints", "vllm_options"}
    kept = {name: value for name, value in fields.items() if name not in replaced}
    return {**kept, **others}


def checked(model: type[Config], flags: Mapping[str, object]) -> Config:
    """The configuration that flags give. Raises BadInput with a line for each that is wrong."""
    return _validated(model, flags_given(flags), flag_of)


def _validated(
    model: type[Config], values: Mapping[str, Any], place: Callable[[str], str]
) -> Config:
    try:
        return model.model_validate(values)
    except ValidationError as invalid:
        lines = [_line(fault, place) for fault in field_faults(invalid)]
        raise BadInput("\n".join(lines)) from None


def _line(fault: FieldFault, place: Callable[[str], str]) -> str:
    if not fault.place:
        return fault.what
    field, *inside = fault.place
    # A value of a list by its number, as people count.
    parts = [f"value {part + 1}" if isinstance(part, int) else part for part in inside]
    listed = "; pacore run --help lists them" if fault.what == UNKNOWN else ""
    return ": ".join([place(str(field)), *parts, fault.what + listed])


def _parsed(name: str, value: Any) -> Any:
    if name == "chat_template_options":
        try:
            return json.loads(value)
        except ValueError as fault:
            raise BadInput(f"{flag_of(name)}: is not JSON: {fault}") from None
    if name == "scorer" and ":" not in value:
        return _scorer_of(value)
    return value


def _scorer_of(path: str) -> str:
    """The scorer in a file of ``pacore value --fit``. Raises BadInput naming the file."""
    named = f"--scorer {path}"
    try:
        found = json.loads(_text_of(path, named))
    except ValueError as fault:
        raise BadInput(f"{named}: is not JSON: {fault}") from None
    scorer = found.get("scorer") if isinstance(found, dict) else None
    if not isinstance(scorer, str):
        raise BadInput(f"{named}: has no 'scorer' with weights such as agreement:0.4,length:-0.02")
    return scorer


class ConfigFile(NamedTuple):
    """A configuration file: its values by field, and the line of each, counted from 1."""

    path: str
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    def place(self, field: str, typed: Container[str]) -> str:
        """Where a field was given: its flag, or the file, its line and the name there."""
        if field in typed or field not in self.values:
            return flag_of(field)
        line = self.lines.get(field)
        return f"{self.path}:{line}: {field}" if line else f"{self.path}: {field}"


_FIELD_OF = {flag_of(field).removeprefix("--"): field for field in RunConfig.model_fields}
"""Fields by their names on the command line, which a file may use too."""


def read_config_file(path: str) -> ConfigFile:
    """A YAML or TOML file. Raises BadInput naming the file, and the line where known."""
    text = _text_of(path, f"--config {path}")
    readers = {".toml": _from_toml, ".yaml": _from_yaml, ".yml": _from_yaml}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise BadInput(f"--config {path}: must end in .yaml, .yml or .toml")
    return reader(path, text)


def _text_of(path: str, named: str) -> str:
    """The text of a file, which errors call as it was ``named``."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{named}: no such file{near_places(path)}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{named}: cannot be read: it is not UTF-8 text") from None
    except OSError as fault:
        why = (fault.strerror or type(fault).__name__).lower()
        raise BadInput(f"{named}: cannot be read: {why}") from None


_TOML_NAME = re.compile(r"""\s*\[?\s*["']?([\w-]+)["']?\s*[=.\]]""")
"""A name before ``=`` or a dot, or that of a table."""


def _from_toml(path: str, text: str) -> ConfigFile:
    try:
        loaded = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        what, _, place = str(fault).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        number = line[1] if line else len(text.splitlines())
        raise BadInput(f"{path}:{number}: is not TOML: {what}") from None
    values = {_FIELD_OF.get(name, name): _dates_as_text(value) for name, value in loaded.items()}
    lines: dict[str, int] = {}
    for number, written in enumerate(text.splitlines(), 1):
        if found := _TOML_NAME.match(written):
            field = _FIELD_OF.get(str(found[1]), str(found[1]))
            lines.setdefault(field, number)
    return ConfigFile(path, values, lines)


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return [_dates_as_text(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _dates_as_text(inner) for name, inner in value.items()}
    return value


_MARK = "tag:yaml.org,2002:"


def _from_yaml(path: str, text: str) -> ConfigFile:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise BadInput(f"{path}: must hold fields with values, such as 'preset: low'")
        lines: dict[str, int] = {}
        for key, value in root.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise BadInput(f"{path}:{line}: a list or an object is no name of a field")
            name = _FIELD_OF.get(str(key.value), str(key.value))
            if (first := lines.setdefault(name, line)) != line:
                raise BadInput(f"{path}:{line}: {name}: is given in line {first} already")
            info = RunConfig.model_fields.get(name)
            _keep_text(value, info is not None and _is_text(info.annotation))
            key.tag, key.value = f"{_MARK}str", name
        return ConfigFile(path, loader.construct_document(root), lines)
    except yaml.YAMLError as fault:
        raise _not_yaml(path, fault) from None
    finally:
        loader.dispose()


def _is_text(annotation: Any) -> bool:
    """Whether a field, or each of its members, holds text and nothing that YAML writes otherwise."""
    inner = get_args(annotation)
    if get_origin(annotation) is Literal or not inner:
        return annotation in (str, type(None), Ellipsis)
    return all(map(_is_text, inner))


def _keep_text(node: yaml.Node, is_text: bool) -> None:
    """Have a value read as it is written where YAML would make a date of it; where a field holds text,
    also where it would make a number or a truth value of it.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag == f"{_MARK}timestamp" or (is_text and node.tag != f"{_MARK}null"):
            node.tag = f"{_MARK}str"
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            _keep_text(inner, is_text)
    elif isinstance(node, yaml.MappingNode):
        for _, inner in node.value:
            _keep_text(inner, is_text)


def read_nested_file(path: str, model: type[Nested]) -> Nested:
    """A model from a YAML file whose fields hold others. Raises BadInput naming file, line and field."""
    loader = yaml.SafeLoader(_text_of(path, path))
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise BadInput(f"{path}: must hold fields with values, such as 'jobs:'")
        _keep_text(root, is_text=False)
        lines = _lines_of(path, root)
        return model.model_validate(loader.construct_document(root))
    except yaml.YAMLError as fault:
        raise _not_yaml(path, fault) from None
    except ValidationError as invalid:
        faults = field_faults(invalid)
        # A list whose values are wrong is not empty for that.
        inner = [one for one in faults if not any(_is_within(other, one) for other in faults)]
        raise BadInput("\n".join(_at(path, lines, one) for one in inner)) from None
    finally:
        loader.dispose()


def _lines_of(path: str, root: yaml.Node) -> dict[tuple[str | int, ...], int]:
    """The line of each value of a document, by its place. Raises BadInput for a field that is given twice,
    of which YAML would take the last.
    """
    lines: dict[tuple[str | int, ...], int] = {(): root.start_mark.line + 1}
    for place, line in _lines(root, ()):
        if place in lines:
            raise BadInput(f"{path}:{line}: {place[-1]}: is given in line {lines[place]} already")
        lines[place] = line
    return lines


def _lines(
    node: yaml.Node, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """The line of each value of a document, by its place: of a field its name's."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _lines(value, (*place, number))


def _is_within(one: FieldFault, other: FieldFault) -> bool:
    return len(one.place) > len(other.place) and one.place[: len(other.place)] == other.place


def _at(path: str, lines: Mapping[tuple[str | int, ...], int], fault: FieldFault) -> str:
    """A fault with the line of its field, or of what should hold it."""
    place = next(
        fault.place[:end] for end in range(len(fault.place), -1, -1) if fault.place[:end] in lines
    )
    return f"{path}:{lines[place]}: {fault}"


def _not_yaml(path: str, fault: yaml.YAMLError) -> BadInput:
    mark = getattr(fault, "problem_mark", None)
    place = path if mark is None else f"{path}:{mark.line + 1}"
    what = getattr(fault, "problem", None) or str(fault)
    return BadInput(f"{place}: is not YAML: {' '.join(what.split())}")


def say_cautions(cautions: Sequence[str]) -> None:
    """Print what in a problem set may make a run worthless, before anything is spent."""
    for text in cautions:
        click.echo(f"pacore: caution: {visible(text)}", err=True)

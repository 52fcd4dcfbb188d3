"""What there is to query, in words: a sentence on each relation; type, unit and a sentence of each column.

The file of a relation says all of it in its head, and a test compares that with the relation itself:

    -- Grain: one row per run: its tokens.
    -- Anything else that its reader has to know.
    -- Columns:
    --   runs.run_id
    --   completion_tokens BIGINT in tokens: Tokens of its trajectories; those that
    --     nobody counted are left out.

``runs.run_id`` is the column as it is described in ``runs``; ``all_trajectories.*`` are all of them. A
relation is public if its columns are described; the others are what public ones are made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Literal

from pacore.errors import BadInput
from pacore.text import visible
from pacore.warehouse.relations import RELATIONS, sql

Group = Literal["table", "mart", "part"]
"""A table of what happened, a mart of what follows from it, or a part that others are made of."""

_SENTENCE = re.compile(r".+?[.](?=\s|$)", re.DOTALL)
_COLUMN = re.compile(r"(?P<name>\w+) (?P<type>[^:]+?)(?: in (?P<unit>[^:]+))?: (?P<meaning>.+)")
_REFERENCE = re.compile(r"(?P<relation>\w+)\.(?P<column>\w+|\*)")


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column: DuckDB's name of its type, its unit (None where it has none), and a sentence."""

    name: str
    type: str
    unit: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation: a sentence with its grain, what else there is to say, and its columns in their order.

    The columns are those of a public one; a part has none here.
    """

    name: str
    group: Group
    sentence: str
    notes: str
    columns: tuple[CatalogColumn, ...]


@cache
def catalog() -> dict[str, Relation]:
    """Every relation by its name: tables, marts and parts, each by name."""
    found = [described_relation(name) for name in sorted(RELATIONS)]
    groups: tuple[Group, ...] = ("table", "mart", "part")
    return {one.name: one for group in groups for one in found if one.group == group}


@cache
def described_relation(name: str) -> Relation:
    """What the file of a relation says of it. Raises KeyError for another name."""
    lines = _head(RELATIONS[name])
    end = lines.index("Columns:") if "Columns:" in lines else len(lines)
    prose = " ".join(lines[:end]).removeprefix("Grain: ")
    first = _SENTENCE.match(prose)
    sentence = first[0] if first else prose
    columns = tuple(_columns(_joined(lines[end + 1 :])))
    group: Group = "mart" if name.startswith("mart_") else "table" if columns else "part"
    notes = prose[len(sentence) :].strip()
    return Relation(name, group, sentence[0].upper() + sentence[1:], notes, columns)


def _head(file: str) -> list[str]:
    """The lines of the comment that a file begins with, without its marks."""
    lines = []
    for line in sql(file).splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").removeprefix(" "))
    return lines


def _joined(lines: Sequence[str]) -> Iterator[str]:
    """The entries of a list: each begins with two blanks, and its further lines with four."""
    entry = ""
    for line in lines:
        if entry and not line.startswith("    "):
            yield entry
            entry = ""
        entry = f"{entry} {line.strip()}".strip()
    if entry:
        yield entry


def _columns(entries: Iterator[str]) -> Iterator[CatalogColumn]:
    for entry in entries:
        if said := _COLUMN.fullmatch(entry):
            yield CatalogColumn(said["name"], said["type"], said["unit"], said["meaning"])
        elif there := _REFERENCE.fullmatch(entry):
            wanted = there["column"]
            described = described_relation(there["relation"]).columns
            yield from (one for one in described if wanted in ("*", one.name))
        else:
            raise ValueError(f"no column is described by {entry!r}")


def find_relation(name: str) -> Relation:
    """A relation by its name. Raises BadInput for another, with the names that are close to it."""
    found = catalog().get(name.lower())
    if found is None:
        near = _close_to(name, list(catalog()))
        raise BadInput(f"there is no table {visible(name)!r}{near}; pacore tables lists all")
    return found


CLOSE_NAMES = 5

_TABLE = re.compile(r"Table with name (?P<wanted>.+?) does not exist!")
_MISSING = re.compile(
    r'Referenced column "(?P<wanted>.+?)" not found in FROM clause'
    r'|(?:Values list|Table) "(?P<of>.+?)" does not have a column named "(?P<wanted_of>.+?)"'
    r'|Column "(?P<listed>.+?)" in \w+ list not found in FROM clause'
    r'|Column "(?P<joined>.+?)" does not exist on (?:left|right) side of join'
)
_HINT = re.compile(r"(?:Did you mean|Candidate) .+")
_NAMED = re.compile(r'"((?:[^"]|"")+)"')
_PART = re.compile(r"(\w+)\s+AS\s+(?:(?:NOT\s+)?MATERIALIZED\s+)?\(", re.IGNORECASE)


def explained(message: str, query: str) -> str:
    """A message of DuckDB about a query as one line, with the names that an unknown one is close to.

    DuckDB's own suggestions of tables are any of its catalog, and it has none for ``t.column``.
    """
    lines = message.split("\n")
    hint = lines[1] if len(lines) > 1 and _HINT.match(lines[1]) else ""
    if table := _TABLE.search(lines[0]):
        known = [*_PART.findall(query), *catalog()]
        near = _close_to(table["wanted"], known)
        return f'there is no table "{table["wanted"]}"{near}; pacore tables lists all'
    if column := _MISSING.search(lines[0]):
        said = _about_column(column, query, _NAMED.findall(hint))
        if said:
            return said
    return f"{lines[0].strip()} {hint}".strip()


def _about_column(found: re.Match[str], query: str, candidates: Sequence[str]) -> str | None:
    """A line about a column that is in none of the relations that a query names; None where it is."""
    wanted = next(
        found[name] for name in ("wanted", "wanted_of", "listed", "joined") if found[name]
    )
    relations = _named_in(query, found["of"])
    columns = [one.name for relation in relations for one in relation.columns]
    if not columns or wanted.lower() in columns:
        return None
    names = [relation.name for relation in relations]
    near = _close_to(wanted, list(dict.fromkeys([*candidates, *columns])))
    listed = names[0] if len(names) == 1 else "NAME"
    if not near and f'"{wanted}"' in query:
        near = f"; a text is in single quotes: '{wanted}'"
    return f'there is no column "{wanted}" in {" or ".join(names)}{near}; pacore tables {listed} lists all'


def _named_in(query: str, alias: str | None) -> list[Relation]:
    """The public relations that a query names, or only the one with that name or alias."""
    public = {name: one for name, one in catalog().items() if one.columns}
    words = [word.lower() for word in re.findall(r"\w+", query)]
    named = [public[word] for word in dict.fromkeys(words) if word in public]
    if alias is not None:
        pattern = re.compile(rf"(\w+)(?:\s+AS)?\s+{re.escape(alias)}\b", re.IGNORECASE)
        meant = [alias.lower(), *(name.lower() for name in pattern.findall(query))]
        named = [public[name] for name in meant if name in public][:1] or named
    return named


def _close_to(wanted: str, known: Sequence[str]) -> str:
    """``; close to it: …`` with the names that hold what is wanted, or are written like it."""
    low = wanted.lower()
    holding = [name for name in known if low in name.lower() and len(low) > 2]
    alike = get_close_matches(low, known, CLOSE_NAMES, 0.6)
    names = list(dict.fromkeys([*alike[:1], *holding, *alike]))[:CLOSE_NAMES]
    return f"; close to it: {', '.join(names)}" if names else ""

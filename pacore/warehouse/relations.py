"""The files of ``sql``; the relations among them that can be queried: tables, marts and the views they are
made of; and which a query needs.

A relation is a file: ``sql/staging/stg_<table>.sql`` reads one stored table, ``sql/views/<name>.sql`` makes
a view that several others read, ``sql/marts/<name>.sql`` is the public mart ``mart_<name>``. What a
relation reads follows from its file, and so does the order in which they are made. One relation,
`EVIDENCE`, is the union of the files of a folder, so that a new rule is a new file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

SQL_FOLDER = Path(__file__).parent.parent.parent / "sql"

HISTORY = {"trajectories": "all_trajectories", "verdicts": "given_verdicts"}
"""Tables in which rows replace others, by what they are called with all that was ever in them. The plain
name has one row for each trajectory's slot, and one verdict on it."""

EVIDENCE = "evidence_rules"
"""The relation of all rules of evidence: each file of ``sql/evidence`` counts one, per run."""

MATERIALIZED = frozenset(
    (
        "runs", "standing_verdicts", "outcomes", "last_verdicts", "scores", "pools", "message_sets",
        "reply_kinds", EVIDENCE, "mart_accuracy", "mart_ttc",
    )
)  # fmt: skip
"""What most reports read, some of them many times over; at most a narrow row for each trajectory. A view is
planned again wherever it is read, also where another view is made of it. What depends on the numbers of
votes to count (`pool_numbers`) is none of them: these may become more.
"""

ONCE_ALONE = frozenset(("trajectory_texts",))
"""Tables that reports read one column of, once: a copy of their files in memory would save nothing."""

_COMMENT = re.compile(r"--[^\n]*")


_WORD = re.compile(r"\w+")
_SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


_FILES = re.compile(r"getvariable\('(\w+)_files'\)")


_CATALOG = re.compile(
    r"information_schema|duckdb_|pg_catalog|pg_|sqlite_master|pragma_|\b(?:show|describe|summarize)\b",
    re.IGNORECASE,
)


@cache
def sql(name: str) -> str:
    """Text of ``sql/<name>.sql``, such as ``marts/accuracy``; of `EVIDENCE` that of all its rules."""
    if name == EVIDENCE:
        return _all_rules()
    return (SQL_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _all_rules() -> str:
    grain = "-- Grain: one row per run and rule of evidence that applies to it: what it counts.\n"
    texts = (statement(f"evidence/{name}").strip() for name in rule_names())
    return grain + "\nUNION ALL\n".join(texts)


@cache
def rule_names() -> tuple[str, ...]:
    """Names of the rules of evidence in ``sql/evidence``, sorted."""
    return tuple(_files_of("evidence"))


@cache
def check_names() -> tuple[str, ...]:
    """Names of the invariants in ``sql/checks``, sorted."""
    return tuple(sorted(path.stem for path in (SQL_FOLDER / "checks").glob("*.sql")))


def needed(text: str) -> list[str]:
    """The relations that SQL may read, each after those it is made of.

    Every word counts that is the name of a relation, whatever it means in the query: a view too many
    costs only its creation.
    """
    if _CATALOG.search(text):
        return list(RELATIONS)
    wanted = {word.lower() for word in _WORD.findall(text)}
    for name in reversed(RELATIONS):
        if name in wanted:
            wanted |= _sources(RELATIONS[name])
    return [name for name in RELATIONS if name in wanted]


def relation_of(table: str) -> str:
    """The relation that reads a stored table."""
    return HISTORY.get(table, table)


def stored(text: str) -> set[str]:
    """The stored tables whose files SQL may read."""
    texts = [text, *(sql(RELATIONS[name]) for name in needed(text))]
    return {table for one in texts for table in _FILES.findall(one)}


def _files_of(folder: str) -> Iterator[str]:
    return (path.stem for path in sorted((SQL_FOLDER / folder).glob("*.sql")))


MARTS = tuple(_files_of("marts"))


@cache
def statement(file: str) -> str:
    """Text of ``sql/<file>.sql`` without its comments, which name relations that it does not read."""
    return _COMMENT.sub("", sql(file))


@cache
def _sources(file: str) -> frozenset[str]:
    """The names that a file reads from: relations, and parts of its own."""
    return frozenset(_SOURCE.findall(statement(file)))


def _relations() -> dict[str, str]:
    tables = {stem.removeprefix("stg_"): f"staging/{stem}" for stem in _files_of("staging")}
    files = {relation_of(table): file for table, file in tables.items()}
    files |= {name: f"views/{name}" for name in _files_of("views")}
    files |= {f"mart_{name}": f"marts/{name}" for name in MARTS}
    files[EVIDENCE] = EVIDENCE
    read = {name: (_sources(file) & files.keys()) - {name} for name, file in files.items()}
    return {name: files[name] for name in TopologicalSorter(read).static_order()}


RELATIONS = _relations()
"""The file of each relation by its name, the relations it reads before it."""

"""The configuration of a run as a page: what it was started with, and the command lines that repeat and
resume it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pacore.core.config.command import changed_fields, resume_command_line, run_command_line
from pacore.core.config.fields import Declared
from pacore.core.config.run import RunConfig, declarations
from pacore.report.rendering.sheet import TEXT, Facts, Heading, Part, Passage, Sheet, table
from pacore.runs.retry import config_of
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, headline, is_closed, open_run


def configuration_sheet(store: Backend, run_id: str, store_url: str) -> Sheet:
    """When and with what a run was started: settings that differ from their default, and command lines.

    Raises Refused for an unknown run.
    """
    run = open_run(store, run_id)
    sections: list[list[Part]] = [[Facts(list(_facts(store, run)))]]
    if not run.is_imported:
        config = config_of(run, {"store": store_url})
        sections.append(_settings(config))
        sections.append([Heading("command"), Passage(run_command_line(config), is_folded=False)])
        if not is_closed(store, run_id):
            line = resume_command_line(store_url, run_id)
            sections.append([Heading("to finish it"), Passage(line, is_folded=False)])
    return Sheet(headline(run), sections)


def _facts(store: Backend, run: Run) -> Iterator[tuple[str, str]]:
    yield "state", "complete" if is_closed(store, run.run_id) else "open"
    yield "started", run.created_at[:19].replace("T", " ") + " UTC"
    yield "problems", f"{run.problems:,} ({run.problem_set}), in {len(run.shards):,} shards"
    yield "identity", run.identity_digest[:12]
    versions = {"pacore": run.producer.get("pacore"), "git": run.producer.get("git_revision")}
    yield "made by", ", ".join(f"{name} {value}" for name, value in versions.items() if value)
    if run.is_imported:
        yield "origin", "imported: its trajectories were made elsewhere"


def _settings(config: RunConfig) -> list[Part]:
    declared = declarations()
    rows = [
        (name, _written(value), declared[name]) for name, value in changed_fields(config).items()
    ]
    return [
        Heading("settings other than the defaults"),
        table(
            rows,
            ("setting", TEXT, lambda row: row[0]),
            ("value", TEXT, lambda row: row[1]),
            ("part of", TEXT, lambda row: _part(row[2])),
        ),
    ]


def _part(declared: Declared) -> str:
    """What a setting belongs to, in words: a change of those of the identity makes another run."""
    return {
        Declared.RECIPE: "identity (recipe)",
        Declared.PLAN: "identity (plan)",
        Declared.OPTIONS: "identity, in part",
    }.get(declared, "operation")


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""The manifest of an export for a trainer, ``training.json``: what it holds and what that rests on.

It says nothing of when or where it was written: the same export is the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from pacore.errors import Refused
from pacore.store.records import BadRecord, decode, encode

MANIFEST = "training.json"

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A file of an export: its path in it, digest and size, and its rows where it has any."""

    path: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """A run that rows were made of.

    ``evidence`` says in which parts it is whole, ``missing`` what it lacks.
    """

    run_id: str
    identity_digest: str
    model: str
    recipe: dict[str, JsonValue]
    evidence: dict[str, bool]
    missing: tuple[str, ...] = ()
    graders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportedSource:
    """Where problems are from, and under which licence; "unknown" where nobody said it."""

    name: str
    licence: str
    problems: int


@dataclass(frozen=True, slots=True)
class TrainingManifest:
    """``data`` is the file of rows, ``pools`` that of the pools they were drawn from, if there is one.

    ``settings`` has what shaped the rows, ``filters`` and ``bands`` what the stages of a training set
    decided by. ``problems`` and ``trajectories`` count what was kept, and what was not by the reason.
    """

    kind: Literal["training-export"]
    format: str
    name: str
    rows: int
    data: str
    pools: str | None
    runs: tuple[ExportedRun, ...]
    sources: tuple[ExportedSource, ...]
    settings: dict[str, JsonValue]
    problems: dict[str, int]
    trajectories: dict[str, int]
    versions: dict[str, str]
    files: tuple[TrainingFile, ...]
    filters: dict[str, JsonValue] = field(default_factory=dict)
    bands: dict[str, JsonValue] = field(default_factory=dict)
    stages: tuple[tuple[str, str, str, int], ...] = ()

    @property
    def licences(self) -> list[str]:
        return sorted({source.licence for source in self.sources})

    @property
    def lacking(self) -> list[str]:
        """What the evidence of its runs lacks, with the run."""
        return [f"{run.run_id}: {what}" for run in self.runs for what in run.missing]


def written(manifest: TrainingManifest) -> bytes:
    """The bytes of a manifest: JSON that a person can read."""
    stated = json.loads(encode(manifest))
    return (json.dumps(stated, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


def read_training_manifest(folder: Path) -> TrainingManifest:
    """The manifest of an export. Raises Refused for a folder without one, or an invalid one."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError:
        raise Refused(f"{folder}: is no export for a trainer: has no {MANIFEST}") from None
    try:
        return decode(data, MANIFEST, TrainingManifest)
    except BadRecord as bad:
        raise Refused(f"{folder}: is no export for a trainer: {bad}") from None


HUB_LICENCES = frozenset(
    (
        "apache-2.0",
        "mit",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-sa-4.0",
        "cc-by-nc-4.0",
        "odc-by",
        "bsd-3-clause",
    )
)
"""Names of licences that the hub knows, as far as they are usual for data."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card(manifest: TrainingManifest) -> str:
    """The data set's card for the hub: YAML between two lines of dashes, then Markdown."""
    known = [name.lower() for name in manifest.licences if name.lower() in HUB_LICENCES]
    licence = known[0] if len(known) == len(manifest.licences) == 1 else "other"
    size = next((name for most, name in _SIZES if manifest.rows < most), "n>1M")
    head = [
        "---",
        f"pretty_name: {json.dumps(manifest.name)}",
        f"license: {licence}",
        "task_categories:",
        "- text-generation",
        "tags:",
        "- pacore",
        "- synthesis",
        f"size_categories:\n- {size}",
        "configs:",
        "- config_name: default",
        f"  data_files: {json.dumps(manifest.data)}",
        "---",
        "",
    ]
    return "\n".join([*head, *_body(manifest)]) + "\n"


def _body(manifest: TrainingManifest) -> list[str]:
    runs = [
        (run.run_id, run.model, _verdict(run), ", ".join(run.graders) or "none")
        for run in manifest.runs
    ]
    counted = [
        *(("problems", why, f"{number:,}") for why, number in manifest.problems.items()),
        *(("trajectories", why, f"{number:,}") for why, number in manifest.trajectories.items()),
    ]
    settings = sorted((name, json.dumps(value)) for name, value in manifest.settings.items())
    sources = [(one.name, one.licence, f"{one.problems:,}") for one in manifest.sources]
    files = [
        (one.path, one.rows or "", one.sha256) for one in manifest.files if "/" not in one.path
    ]
    stages = [(*row[:3], f"{row[3]:,}") for row in manifest.stages]
    return [
        f"# {manifest.name}",
        "",
        f"{manifest.rows:,} rows in the format {manifest.format}, exported by pacore "
        f"{manifest.versions['pacore']}. Each prompt is P(x, M) of PaCoRe (arXiv 2601.05593): a problem "
        "and messages of earlier trajectories.",
        "",
        *([PROGRAMS, ""] if _has_programs(manifest) else []),
        *_table(("run", "model", "evidence", "graders"), runs),
        *_table(("of", "kept, or why not", "number"), counted),
        *(_table(("stage", "source", "kept, or why not", "problems"), stages) if stages else []),
        *_table(("source", "licence", "problems"), sources),
        *_table(("setting", "value"), settings),
        *_table(("file", "rows", "sha256"), files),
        f"`{MANIFEST}` has the digests of all files, the recipes, and the versions.",
    ]


PROGRAMS = (
    "The reward of a program is the share of its tests that it passes. Programs run in bubblewrap, which "
    "each machine that computes rewards needs (`apt-get install bubblewrap`, and user name spaces); "
    "without it the reward raises, and runs nothing."
)


def _has_programs(manifest: TrainingManifest) -> bool:
    return any(grader.startswith("code ") for run in manifest.runs for grader in run.graders)


def _verdict(run: ExportedRun) -> str:
    if run.missing:
        return f"LACKING: {'; '.join(run.missing)}"
    return "complete, observed"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines] + [""]


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())

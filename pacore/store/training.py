"""Training sets: which runs each is made of, and what every stage decided on every problem.

A training set is ordinary runs and decisions. The *pool run* has single trajectories of every problem
that the filters left; the *synthesis run* has trajectories of the prompts P(x, M) of one checkpoint, with M
drawn from the pools. The stages are ``filters`` (which problems of the sources are usable), ``validity``
(by the votes of a judge, where there is one), ``stage1`` (by the accuracy of the pool) and ``stage2`` (by
the accuracy of synthesis).

Records are only added, one for each time that a stage came to its end, and the last one counts. Files of
decisions are named by their content, so that a record that refers to one is the point of publication.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

from pydantic import JsonValue

from pacore.errors import BadInput, Refused, StoreError
from pacore.store.backends.protocol import Backend
from pacore.store.layout import TRAINING, decisions_key, training_name_of, training_prefix
from pacore.store.records import Time, find, put_next, read_many
from pacore.text import did_you_mean

if (
    TYPE_CHECKING
):  # Arrow is loaded where decisions are written or read; a look at records needs none
    from pacore.store.schema import TrainingDecision

Stage = Literal["filters", "validity", "stage1", "stage2"]

STAGES: tuple[Stage, ...] = get_args(Stage)

SOURCE_FIELD = "training"
"""The field of a problem's metadata with the training set, the source and its licence:
``{"set", "source", "licence", "problem_id", "metadata"}``, the last two as the source has them."""

SYNTHESIS_FIELD = "synthesis"
"""The field of the metadata of a problem of a synthesis run with what its prompt was made of:
``{"run_id", "problem_id", "set", "messages", "right"}``: the pool run and the problem in it, the number of
the message set, the ids of its messages in the order of the prompt, and how many of them are right."""


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Where problems came from: ``kind`` is ``set``, ``arithmetic`` or ``generator``, ``licence`` a name
    such as Apache-2.0, ``settings`` all that the problems follow from.
    """

    name: str
    kind: str
    licence: str
    settings: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The record of a training set: what it is made of, as of the stage that ended last.

    ``identity`` is what may not change under its name: sources, filters and the pool's settings.
    ``problem_set`` is the key of the problems that the filters left, and the judge, whose votes are in
    ``judge_run``; None without one. ``pool_run`` draws ``pool_size`` trajectories of each, and
    ``further_runs`` more of some. ``synthesis_run`` is by ``checkpoint``; both are None before it.
    ``bands`` are the bounds of both stages and the policy at them, ``filters`` their thresholds.
    ``recipes`` has the recipes of ``pool`` and ``synthesis``, ``decisions`` the key of each stage's file.
    """

    name: str
    written_at: Time
    identity: dict[str, JsonValue]
    sources: tuple[TrainingSource, ...]
    filters: dict[str, JsonValue]
    problem_set: str
    pool_run: str
    pool_size: int
    bands: dict[str, JsonValue]
    decisions: dict[str, str]
    recipes: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    further_runs: tuple[str, ...] = ()
    synthesis_run: str | None = None
    checkpoint: str | None = None
    judge_run: str | None = None

    @property
    def last_stage(self) -> Stage:
        """The last stage that has come to its end."""
        return next(stage for stage in reversed(STAGES) if stage in self.decisions)

    @property
    def runs(self) -> tuple[str, ...]:
        """All its runs, the pool first."""
        others = [run for run in (self.synthesis_run, self.judge_run) if run is not None]
        return (self.pool_run, *self.further_runs, *others)


def find_training(store: Backend, name: str) -> TrainingRecord | None:
    """The last record of a training set; None where there is none. Raises StoreError for a damaged one."""
    last = max(store.list(training_prefix(name)), default=None) if _is_name(name) else None
    return None if last is None else find(store, last, TrainingRecord)


def read_training(store: Backend, name: str) -> TrainingRecord:
    """The last record of a training set. Raises Refused where there is none, naming those there are."""
    found = find_training(store, name)
    if found is None:
        known = list_training(store)
        listed = f"; its training sets: {', '.join(known)}" if known else ""
        near = did_you_mean(name, known) or listed
        raise Refused(f"no training set {name!r} in {store.url}{near}")
    return found


def list_training(store: Backend) -> list[str]:
    """The names of all training sets of a store, sorted."""
    return sorted({name for key in store.list(TRAINING) if (name := training_name_of(key))})


def read_all_training(store: Backend) -> list[TrainingRecord]:
    """The last record of each training set, by name."""
    last: dict[str, str] = {}
    for key in store.list(TRAINING):
        if name := training_name_of(key):
            last[name] = max(key, last.get(name, ""))
    return read_many(store, [last[name] for name in sorted(last)], TrainingRecord) if last else []


def put_training(store: Backend, record: TrainingRecord) -> TrainingRecord:
    """Add a record, unless the last one says the same; returns the one that counts."""
    last = find_training(store, record.name)
    if last is not None and replace(last, written_at=record.written_at) == record:
        return last
    put_next(store, training_prefix(record.name), record)
    return record


class DecisionFile:
    """A file of the decisions of one stage, written a row at a time and published by `publish`.

    A context manager: without `publish` nothing is left of it.
    """

    def __init__(self, store: Backend, name: str, stage: Stage) -> None:
        from pacore.store.parquet import TableWriter
        from pacore.store.schema import TRAINING_DECISIONS

        self._store, self._name, self._stage = store, name, stage
        self._scratch = store.scratch() / f"decisions-{secrets.token_hex(8)}.parquet"
        self._writer = TableWriter(self._scratch, TRAINING_DECISIONS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._scratch.unlink(missing_ok=True)

    def add(self, decision: TrainingDecision) -> None:
        self._writer.add(self._writer.table.row(decision))

    def publish(self) -> str:
        """Put the file into the store; returns its key, which follows from its content."""
        self._writer.finish()
        with self._scratch.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        key = decisions_key(self._name, self._stage, digest)
        self._store.put_file(key, self._scratch)
        return key


def write_decisions(
    store: Backend, name: str, stage: Stage, rows: Iterable[TrainingDecision]
) -> str:
    """Write the decisions of a stage; returns the key of the file."""
    with DecisionFile(store, name, stage) as file:
        for decision in rows:
            file.add(decision)
        return file.publish()


def read_decisions(
    store: Backend, record: TrainingRecord, stage: Stage
) -> Iterator[TrainingDecision]:
    """The decisions of a stage, by problem as they were written; none of a stage that has not ended.

    Raises StoreError for a file that is missing or damaged.
    """
    from pacore.store.schema import TRAINING_DECISIONS, TrainingDecision

    columns = [column.name for column in TRAINING_DECISIONS.columns]
    for values in _values(store, record, stage, *columns):
        yield TrainingDecision(*values)


def kept_problems(store: Backend, name: str, stage: Stage) -> list[str]:
    """The ids of the problems that a stage kept, sorted. Raises Refused where it has not ended."""
    record = read_training(store, name)
    if stage not in STAGES:
        raise BadInput(f"stage {stage!r}: is none of {', '.join(STAGES)}")
    if stage not in record.decisions:
        raise Refused(f"training set {name}: {stage} has not come to its end")
    decided = _values(store, record, stage, "problem_id", "is_kept")
    return sorted(problem_id for problem_id, is_kept in decided if is_kept)


class StageCount(NamedTuple):
    """How many problems of a source a stage kept (``reason`` None), or dropped for one reason."""

    stage: str
    source: str
    reason: str | None
    problems: int


def counts(store: Backend, name: str) -> list[StageCount]:
    """The problems of a training set by stage, source and reason, in this order; the kept ones first."""
    record = read_training(store, name)
    found: Counter[tuple[str, str, str | None]] = Counter()
    for stage in STAGES:
        decided = _values(store, record, stage, "source", "is_kept", "reason")
        for source, is_kept, reason in decided:
            found[stage, source, None if is_kept else reason] += 1
    place = {source.name: number for number, source in enumerate(record.sources)}
    return [
        StageCount(*group, found[group])
        for group in sorted(
            found,
            key=lambda one: (STAGES.index(one[0]), place.get(one[1], 0), one[2] or ""),
        )
    ]


def _values(
    store: Backend, record: TrainingRecord, stage: Stage, *columns: str
) -> Iterator[tuple[Any, ...]]:
    from pacore.store.parquet import read_values

    key = record.decisions.get(stage)
    if key is None:
        return
    try:
        with store.open(key) as file:
            yield from read_values(file, *columns)
    except (KeyError, OSError, ValueError) as fault:
        raise StoreError(f"{key}: cannot be read: {fault}") from None


def _is_name(name: str) -> bool:
    return bool(name.strip()) and "/" not in name and name not in (".", "..")

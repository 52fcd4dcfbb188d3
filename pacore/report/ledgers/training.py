"""A training set as a page: problems before and after each stage by source, as in the paper's Table 7, and
why the others are not in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pacore.report.rendering.sheet import (
    COUNT,
    SHARE,
    TEXT,
    Facts,
    Format,
    Heading,
    Note,
    Part,
    Sheet,
    number,
    share,
    table,
)
from pacore.store.backends.protocol import Backend
from pacore.store.training import STAGES, TrainingRecord
from pacore.training.generated_tests import CountedTests, GeneratedTests
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

SHOWN = {"filters": "filters", "validity": "valid", "stage1": "stage 1", "stage2": "stage 2"}


def _columns(reports: Sequence[TrainingReport]) -> list[str]:
    """The stages that are shown of some training sets: that of a judge where one has it."""
    is_judged = any("validity" in report.record.decisions for report in reports)
    return [stage for stage in STAGES if is_judged or stage != "validity"]


@dataclass(frozen=True, slots=True)
class TrainingCount(ReportRow):
    """How many problems of a source and kind a stage decided in one way; ``reason`` is None for those it
    kept, ``kind`` where no problem can be read.
    """

    QUERY: ClassVar[str] = "training/counts"

    stage: str
    source: str
    kind: str | None
    reason: str | None
    problems: int
    straddling: int | None
    turning_rate: float | None


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training set came to: its record, and its problems by stage, source and reason."""

    record: TrainingRecord
    counts: Sequence[TrainingCount]

    def problems(
        self, stage: str, source: str | None, kind: str | None = None, *, is_kept: bool = True
    ) -> int | None:
        """How many problems a stage kept, or looked at: of a source, a kind or all. None before its end."""
        if stage not in self.record.decisions:
            return None
        return sum(
            one.problems
            for one in self.counts
            if one.stage == stage
            and source in (None, one.source)
            and kind in (None, one.kind)
            and (one.reason is None or not is_kept)
        )

    @property
    def kinds(self) -> list[str]:
        """The kinds of its problems, ``math`` before ``code``."""
        return sorted({one.kind for one in self.counts if one.kind is not None}, reverse=True)

    @property
    def line(self) -> str:
        """The training set in a line: how many problems each stage left."""
        kept = (
            f"{SHOWN[stage]} {self.problems(stage, None):,}"
            for stage in STAGES
            if stage in self.record.decisions
        )
        before = self.problems("filters", None, is_kept=False)
        return f"training set {self.record.name}: {before:,} problems; {', '.join(kept)}"


def training_report(store: Backend, record: TrainingRecord) -> TrainingReport:
    """What a training set came to, by its marts."""
    with Warehouse(store, [record.pool_run]) as warehouse:
        return TrainingReport(record, warehouse.read(TrainingCount, training=record.name))


def training_sheet(report: TrainingReport) -> Sheet:
    """Problems before and after each stage, why the others are not kept, and what that rests on."""
    dropped = [one for one in report.counts if one.reason is not None]
    sections: list[list[Part]] = [
        [_sources(report)],
        [Heading("not kept"), _dropped(report, dropped)] if dropped else [],
        [Facts(list(_facts(report)), "what it rests on")],
    ]
    return Sheet(f"training set {report.record.name}", [section for section in sections if section])


def trainings_sheet(reports: Sequence[TrainingReport]) -> Sheet:
    """Some training sets, a row each."""

    def kept(stage: str) -> Callable[[TrainingReport], int | None]:
        return lambda report: report.problems(stage, None)

    rows = table(
        reports,
        ("training set", TEXT, lambda report: report.record.name),
        ("before", COUNT, lambda report: report.problems("filters", None, is_kept=False)),
        *((SHOWN[stage], COUNT, kept(stage)) for stage in _columns(reports)),
        ("pool", TEXT, lambda report: report.record.pool_run),
        ("checkpoint", TEXT, lambda report: report.record.checkpoint),
        caption="training sets",
    )
    return Sheet(None, [[rows]])


def training_records(report: TrainingReport) -> dict[str, Any]:
    """A training set as JSON has it."""
    record = report.record
    return {
        "name": record.name,
        "written_at": record.written_at.isoformat(),
        "sources": record.sources,
        "filters": record.filters,
        "bands": record.bands,
        "pool_run": record.pool_run,
        "pool_size": record.pool_size,
        "judge_run": record.judge_run,
        "further_runs": record.further_runs,
        "synthesis_run": record.synthesis_run,
        "checkpoint": record.checkpoint,
        "counts": report.counts,
    }


class _Part(NamedTuple):
    """The problems of one row: of a source, of a kind, or all of them where both are None."""

    title: str
    licence: str | None = None
    source: str | None = None
    kind: str | None = None


def _sources(report: TrainingReport) -> Part:
    rows = [_Part(source.name, source.licence, source.name) for source in report.record.sources]
    if len(rows) > 1:
        rows.append(_Part("all"))
    if len(report.kinds) > 1:
        rows += [_Part(f"all, {kind}", kind=kind) for kind in report.kinds]

    def kept(stage: str) -> Callable[[_Part], int | None]:
        return lambda part: report.problems(stage, part.source, part.kind)

    return table(
        rows,
        ("source", TEXT, lambda part: part.title),
        ("licence", TEXT, lambda part: part.licence),
        (
            "before", COUNT,
            lambda part: report.problems("filters", part.source, part.kind, is_kept=False),
        ),
        *((SHOWN[stage], COUNT, kept(stage)) for stage in _columns([report])),
        caption="problems before and after each stage",
    )  # fmt: skip


def _dropped(report: TrainingReport, rows: Sequence[TrainingCount]) -> Part:
    ordered = sorted(rows, key=lambda one: STAGES.index(one.stage))
    kind: list[tuple[str, Format, Callable[[TrainingCount], object]]] = []
    if len(report.kinds) > 1:
        kind = [("kind", TEXT, lambda one: one.kind)]
    return table(
        ordered,
        ("stage", TEXT, lambda one: SHOWN[one.stage]),
        ("source", TEXT, lambda one: one.source),
        *kind,
        ("reason", TEXT, lambda one: one.reason),
        ("problems", COUNT, lambda one: one.problems),
        ("another pool would keep", SHARE, lambda one: one.turning_rate),
        caption="why problems are not kept",
    )


def _facts(report: TrainingReport) -> Iterator[tuple[str, str]]:
    record = report.record
    if record.judge_run is not None:
        by = record.identity["judge"]
        votes = f"{by['needed']} of {by['votes']} votes"  # type: ignore[index, call-overload]
        judge = record.recipes.get("judge", {}).get("model", "")
        yield "judge", f"{judge}, {votes} say valid: run {record.judge_run}"
    model = record.recipes.get("pool", {}).get("model", "")
    yield "pool", f"{record.pool_size} trajectories a problem by {model}: run {record.pool_run}"
    for run in record.further_runs:
        yield "", f"more of some: run {run}"
    bands = record.bands
    yield "stage 1", f"0 < accuracy < {bands['math']}, of programs < {bands['code']}"
    for stage in STAGES[1:]:
        if stage in record.decisions:
            yield from _turning(report, stage)
    if record.synthesis_run is not None:
        yield "checkpoint", f"{record.checkpoint}: run {record.synthesis_run}"
        yield "stage 2", "0 < synthesis accuracy < 1"


def _turning(report: TrainingReport, stage: str) -> Iterator[tuple[str, str]]:
    """Which problems are near a bound, what was done with them, and how many another pool would turn."""
    looked = Counter[str]()
    turned = 0.0
    for one in report.counts:
        if one.stage == stage and one.turning_rate is not None:
            looked["problems"] += one.problems
            looked["straddling"] += one.straddling or 0
            turned += one.problems * one.turning_rate
    if not looked["problems"]:
        return
    if stage == "stage1":
        confidence = f"{100 * float(str(report.record.bands['confidence'])):g} %"
        yield (
            "near the bound",
            f"{number(looked['straddling'])} of {number(looked['problems'])} problems have it inside "
            f"their {confidence} interval; policy {report.record.bands['policy']}",
        )
    yield (
        f"{SHOWN[stage]}, another pool",
        f"would decide otherwise on {share(turned / looked['problems'])} of the problems",
    )


def tests_sheet(found: Sequence[GeneratedTests]) -> Sheet:
    """What came of the tests of code problems: a row for each, and those without tests with the reason."""
    made = [one for one in found if one.refused is None]
    refused = [one for one in found if one.refused is not None]
    tests = table(
        made,
        ("problem", TEXT, lambda one: one.place),
        ("tests", COUNT, lambda one: one.tests),
        ("tried", COUNT, lambda one: one.tried),
        ("not used", TEXT, lambda one: _reasons(one.unused)),
        ("wrong solutions", COUNT, lambda one: one.wrong),
        ("pass all", TEXT, lambda one: _numbers(one.passing)),
        ("fail none", COUNT, lambda one: one.idle if one.wrong else None),
        caption="tests of each problem",
    )
    why = table(
        refused,
        ("problem", TEXT, lambda one: one.place),
        ("why", TEXT, lambda one: one.refused),
        caption="problems without tests",
    )
    counts = CountedTests.of(found)
    facts = [
        ("separate", f"{counts.separate:,} problems: all right solutions pass, and no wrong one"),
        ("weak", f"{counts.weak:,}: a wrong solution passes all tests"),
        ("unproven", f"{counts.unproven:,}: there is no wrong solution to fail"),
        ("refused", f"{counts.refused:,}: no tests"),
    ]
    note = Note(
        "Tried: inputs. Pass all: wrong solutions that pass all tests. Fail none: tests that every wrong "
        "solution passes."
    )
    sections: list[list[Part]] = [[Facts(facts)]]
    sections += [[tests], [note]] if made else []
    sections += [[Heading("no tests"), why]] if refused else []
    return Sheet(f"tests of {len(found):,} code problems", sections)


def _reasons(counted: Mapping[str, int]) -> str | None:
    return ", ".join(f"{number:,} {reason}" for reason, number in counted.items()) or None


def _numbers(passing: Sequence[int]) -> str:
    listed = ", ".join(f"no. {number}" for number in passing[:3])
    more = ", …" if len(passing) > 3 else ""
    return f"{len(passing):,}: {listed}{more}" if passing else "0"

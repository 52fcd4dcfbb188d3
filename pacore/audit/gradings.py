"""Audit of gradings: their records, their verdicts, and that each has all of these and no others.

A grading has a verdict on the current attempt of every slot that the model finished, and on no other. That
of the run itself is on its answers, and so on a replicate that did not reach the last round too. Answers
are read and graded again, where the grader is the same still.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pacore.audit.finding import Finding, Severity, Where, differing, miscounted, quoted
from pacore.audit.ledger import AuditedRun, Gradings, Ledger
from pacore.audit.records import read_record
from pacore.core.grading.choose import is_by_rules, judged_by, states_version
from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.programs.program import Wanted
from pacore.core.grading.programs.tests import wanted_of
from pacore.core.grading.spec import parse_spec
from pacore.core.grading.verdict import Verdict, recorded_gold
from pacore.core.problem import Problem
from pacore.core.trajectory import UNFINISHED
from pacore.errors import BadInput, PacoreError, StoreError
from pacore.sandbox.grade import answer_keys, grade_answers, grader_version
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import Grading, GradingEnd, GradingRecord, read_gradings
from pacore.store.layout import OWN, Unit, commit_key, graded_key, grading_key, gradings_prefix
from pacore.store.records import BadRecord
from pacore.store.rows import StoredAnswer, StoredTrajectory, StoredVerdict
from pacore.store.run import Run

_TIMEOUT_SECONDS = 10.0

PROGRAMS = 8
"""Different programs of a shard and round that are run again: each may take as long as its tests."""

_Graded = tuple[StoredVerdict, str]
"""A row of verdicts, with its problem's gold answer."""


def known_gradings(store: Backend, run_id: str) -> tuple[Gradings, list[Finding]]:
    """The gradings as their records have them, and what is wrong with the records as a whole."""
    try:
        records = read_gradings(store, run_id)
        keys = list(store.list(gradings_prefix(run_id)))
    except BadRecord as bad:
        return {}, [Finding("gradings", Where(bad.key), bad.why)]
    except (StoreError, KeyError) as fault:
        where = Where(gradings_prefix(run_id))
        return {}, [Finding("gradings", where, f"cannot be read: {quoted(fault)}")]
    begun = sum(not key.endswith(".done.json") for key in keys)
    ends = {graded_key(run_id, number) for number in range(1, begun + 1)}
    found = [
        Finding("gradings", Where(key), "is the end of a grading that never began")
        for key in sorted(keys)
        if key.endswith(".done.json") and key not in ends
    ]
    known = {}
    for record in records:
        try:
            is_by_rules(record.grading.grader)
            known[record.grading.grading_id] = record
        except BadInput as fault:
            where = Where(grading_key(run_id, record.sequence))
            found.append(Finding("gradings", where, str(fault)))
    return known, found


def check_gradings(audited: AuditedRun) -> Iterator[Finding]:
    """Compare the commits of verdicts with the gradings, and the gradings with their commits."""
    run, ledger, gradings = audited.run, audited.ledger, audited.gradings
    for unit in sorted(ledger.units):
        where = Where.of_commit(unit)
        if (unit.table == "verdicts") != bool(unit.grading):
            what = "is of no grading" if unit.table == "verdicts" else "is of a grading"
            yield Finding("commits", where, what)
        elif unit.grading not in ("", OWN, *gradings):
            what = f"is of grading {unit.grading}, which is not in {gradings_prefix(run.run_id)}"
            yield Finding("gradings", where, what)
    for unit, commit in sorted(ledger.commits.items()):
        table = "answers" if unit.grading == OWN else "trajectories"
        judged = commit_key(unit._replace(table=table, grading=""))
        if unit.table == "verdicts" and judged not in commit.inputs:
            where = Where.of_commit(unit)
            yield Finding("lineage", where, f"was not made from {judged}, which it judges")
    for record in gradings.values():
        if record.finished_at is not None:
            yield from _whole(run, ledger, record)
            yield from _counted(audited.store, run, ledger, record)


def _whole(run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """A finished grading has verdicts on every round of every shard, retried since or not."""
    published = ledger.revisions(record.grading.grading_id)
    for round_ in range(1, run.plan.rounds + 1):
        for shard in run.shards:
            if (round_, shard.name) not in published:
                place = (round_, shard.name, ledger.revision(shard.name))
                unit = Unit(run.run_id, "verdicts", *place, record.grading.grading_id)
                what = f"is missing: {graded_key(run.run_id, record.sequence)} says all are there"
                yield Finding("commits", Where.of_commit(unit), what)


def _counted(store: Backend, run: Run, ledger: Ledger, record: GradingRecord) -> Iterator[Finding]:
    """The counts of a finished grading are what its commits add up to, unless it was continued since."""
    grading_id = record.grading.grading_id
    summed = ledger.counts([unit for unit in ledger.units if unit.grading == grading_id])
    if summed is None or ledger.is_redone(grading_id):
        return
    where = Where(graded_key(run.run_id, record.sequence))
    end = read_record(store, where.file, GradingEnd)
    if isinstance(end, str):
        yield Finding("gradings", where, end)
    else:
        yield from miscounted(end.counts, summed, where, "gradings", "the commits add up to")


@dataclass(frozen=True)
class Judged:
    """One problem and replicate in one round under one grading.

    ``trajectories`` are all rows of the place, attempts in order; ``file`` is the verdicts' own.
    ``answers`` are the rows that the run's own grading is of, none where they could not be read.
    """

    round: int
    problem: Problem
    replicate: int
    record: GradingRecord
    file: str
    trajectories: Sequence[StoredTrajectory]
    verdicts: Sequence[StoredVerdict]
    answers: Sequence[StoredAnswer] = ()

    @property
    def grading(self) -> Grading:
        return self.record.grading

    @property
    def is_own(self) -> bool:
        """Whether it is the grading that the run made itself."""
        return self.record.grading_id == OWN

    @property
    def where(self) -> Where:
        problem_id = self.problem.problem_id
        return Where(self.file, "verdicts", self.round, problem_id, self.replicate)

    @property
    def by(self) -> tuple[str, str | None] | None:
        """Spec and gold answer, None where the grading does not judge the problem."""
        return judged_by(self.grading.grader, self.grading.against, self.problem)

    def finished(self) -> dict[int, StoredTrajectory | None]:
        """The current attempt of each slot, where the model finished it.

        None is what the run's own grading is of where a replicate did not reach the round.
        """
        if self.is_own and not self.trajectories:
            return {0: None}
        current = {row.slot: row for row in self.trajectories}
        return {slot: row for slot, row in current.items() if row.finish_reason not in UNFINISHED}


def check_verdicts(here: Judged) -> Iterator[Finding]:
    """Compare the verdicts of one place with its current attempts, answers read again."""
    finished = here.finished() if here.by is not None else {}
    counted = Counter(row.slot for row in here.verdicts)
    for row in here.verdicts:
        where = Where.of(row, here.round)
        judged = finished.get(row.slot)
        current = judged.trajectory_id if judged else None
        if here.by is None:
            yield Finding("verdicts", where, "is on a problem that its grading does not judge")
        elif row.slot not in finished or row.trajectory_id != current:
            there = current if row.slot in finished else "nothing that was finished"
            what = f"is on trajectory {quoted(row.trajectory_id)}; in its slot is {there}"
            yield Finding("verdicts", where, what)
        elif counted[row.slot] > 1:
            yield Finding("duplicates", where, f"is here {counted[row.slot]} times")
        else:
            yield from _read_again(here, row, judged, where)
    if here.grading.against == "gold":
        for slot in sorted(finished.keys() - counted.keys()):
            yield Finding("verdicts", here.where.at(slot=slot), "is missing")


def _read_again(
    here: Judged, row: StoredVerdict, judged: StoredTrajectory | None, where: Where
) -> Iterator[Finding]:
    """The row says of its answer what conclusion, problem and grading make of it."""
    grading = here.grading
    expected: dict[str, Any] = {"grading": here.record.grading_id}
    if is_by_rules(grading.grader) and here.by is not None:
        spec, gold = here.by
        expected["grader"] = spec
        # Files of earlier versions have no gold answers.
        if gold is not None and (here.is_own or row.gold_answer is not None):
            expected["gold_answer"] = recorded_gold(gold)
        if here.is_own:
            expected |= _as_answered(here.answers)
        # Another version may have read another answer.
        elif judged is not None and row.grader_version == grader_version(spec):
            expected |= _as_read(judged, spec, wanted_of(spec, gold))
    yield from differing(row, expected, where, "verdicts", "read again it is")
    decided = (row.grader, row.grader_version)
    if not here.is_own and not states_version(grading.grader_version, grading.grader, decided):
        what = f"grader_version is {quoted(row.grader_version)}; its grading is "
        yield Finding("verdicts", where, what + quoted(grading.grader_version))


def _as_read(judged: StoredTrajectory, spec: str, wanted: Wanted | None) -> dict[str, str | None]:
    """The answer in a conclusion, read again, and how it is found."""
    read = None
    if judged.conclusion is not None:
        is_cut = judged.finish_reason == "length"
        read = extract(judged.conclusion, spec, wanted, is_cut=is_cut)
    answer, method = read if read and read.text.strip() else (None, None)
    return {"answer": answer, "method": method}


def _as_answered(answers: Sequence[StoredAnswer]) -> dict[str, str | None]:
    """The answer that the stage before has read, and how; nothing where that is not known."""
    return {name: getattr(row, name) for row in answers for name in ("answer", "method")}


def check_grades(rows: Sequence[_Graded], round_: int) -> Iterator[Finding]:
    """Compare each verdict with the verdict on its answer.

    What another version of the grader gave is not compared. Of programs only those of the smallest
    trajectory ids are run. Where one of both ran out of time, a difference is suspicious, not wrong.
    """
    by_kind: dict[bool, list[_Graded]] = {False: [], True: []}
    for row, gold in rows:
        by_kind[_is_program(row)].append((row, gold))
    for some in (by_kind[False], _sampled(by_kind[True])):
        try:
            yield from _graded_again(some, round_)
        except PacoreError as fault:
            where = Where.of(some[0][0], round_).at(problem_id=None, replicate=None, slot=None)
            what = f"answers could not be graded again: {fault}"
            yield Finding("grades", where, what, "warning")


def _is_program(row: StoredVerdict) -> bool:
    return str(row.grader).partition(":")[0] == "code"


def _sampled(rows: Sequence[_Graded]) -> list[_Graded]:
    in_order = sorted(rows, key=lambda graded: graded[0].trajectory_id or "")
    chosen = list(dict.fromkeys((row.answer, gold) for row, gold in in_order))[:PROGRAMS]
    return [(row, gold) for row, gold in rows if (row.answer, gold) in chosen]


def _graded_again(rows: Sequence[_Graded], round_: int) -> Iterator[Finding]:
    same = [(row, gold) for row, gold in rows if row.grader_version == _version_here(row.grader)]
    items = [(row.grader, gold, row.answer) for row, gold in same]
    verdicts = grade_answers(items, _TIMEOUT_SECONDS) if items else []
    for (row, _), verdict in zip(same, verdicts, strict=True):
        if "timeout" in (row.verdict, verdict.verdict):
            continue
        if (row.verdict, row.score) != (verdict.verdict, verdict.score):
            said = f"{row.verdict} {row.score}"
            what = f"is {said}; graded again it is {verdict.verdict} {verdict.score}"
            where = Where.of(row, round_)
            yield Finding("grades", where, what, _severity(row, verdict))
    yield from _keys_again([row for row, _ in same if row.answer_key is not None], round_)


def _keys_again(rows: Sequence[StoredVerdict], round_: int) -> Iterator[Finding]:
    """The equivalence class of each answer is the one its grader puts it in."""
    pairs = [(row.grader, row.answer) for row in rows if row.answer is not None]
    keys = dict(zip(pairs, answer_keys(pairs, _TIMEOUT_SECONDS), strict=True))
    for row in rows:
        key = None if row.answer is None else keys[row.grader, row.answer]
        where = Where.of(row, round_)
        yield from differing(row, {"answer_key": key}, where, "grades", "the answer has")


def _version_here(spec: str) -> str | None:
    """The version of a grader in this installation; None for one it does not have."""
    try:
        return None if parse_spec(spec).name == "judge" else grader_version(spec)
    except BadInput:
        return None


def _severity(row: StoredVerdict, verdict: Verdict) -> Severity:
    """A busy machine may fail a program that another passes."""
    said = (row.detail, verdict.detail)
    ran_out = any("timeout" in (detail or "") for detail in said)
    return "warning" if _is_program(row) and ran_out else "error"

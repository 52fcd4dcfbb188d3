"""Problems as pages: one of a run, with its rounds, messages and answers; a set before anything is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pacore.core.config.mapping import check_mapping, parse_mapping
from pacore.core.grading.choose import choose_grader
from pacore.core.plan import Plan
from pacore.core.problem import Problem, no_such_problem, original_name, possible_ids
from pacore.errors import BadInput
from pacore.problems.golds import listed
from pacore.problems.survey import ProblemSurvey, ShapeCount, survey_problems
from pacore.report.accuracy import only_answers_graded
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    TEXT,
    Facts,
    Format,
    Heading,
    Note,
    Part,
    Passage,
    Sheet,
    decimals,
    number,
    table,
)
from pacore.store.run import Run, headline, open_run
from pacore.text import excerpt, shown
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

_MESSAGE_CHARACTERS = 4000

_EXCERPT_CHARACTERS = 2000

_WHOLE_CHARACTERS = 2**31 - 1

_TURN_CHARACTERS = 2_000

_GOLD_CHARACTERS = 300

_LISTED_REPLICATES = 64


def round_heading(plan: Plan, round_: int) -> str:
    """A round in a few words: its number, and how many slots do what."""
    step = plan.step(round_)
    does = {
        "sample": f"width {step.width}",
        "condense": f"condenses up to {step.width} messages",
        "distill": "distils all messages into one",
    }
    return f"round {round_} of {plan.rounds} · {does[step.kind]}"


@dataclass(frozen=True, slots=True)
class ProblemRow(ReportRow):
    """A problem of a run; ``metadata`` is a JSON object."""

    QUERY: ClassVar[str] = "problem/problem"

    problem_id: str
    statement: str
    gold: str | None
    metadata: str | None


@dataclass(frozen=True, slots=True)
class ProblemName(ReportRow):
    """The id of a problem of a run, those without an answer first."""

    QUERY: ClassVar[str] = "problem/ids"

    problem_id: str


@dataclass(frozen=True, slots=True)
class SlotRow(ReportRow):
    """The current attempt of one slot, the verdict on it, None where it is not graded, and the position
    of its message in the next prompt.
    """

    QUERY: ClassVar[str] = "problem/trajectories"

    replicate: int
    round: int
    slot: int
    attempt: int
    trajectory_id: str
    finish_reason: str
    conclusion_status: str
    completion_tokens: int | None
    reused: bool
    error: str | None
    conclusion: str | None
    position: int | None
    verdict: str | None


@dataclass(frozen=True, slots=True)
class ReplicateRow(ReportRow):
    """One replicate in a line: its answer or why it has none, the verdict, tokens, and of the ``messages``
    that its last round saw how many are ``correct``, None where they are not graded.
    """

    QUERY: ClassVar[str] = "problem/replicates"

    replicate: int
    answer: str | None
    status: str
    is_evidence: bool
    reason: str | None
    verdict: str | None
    score: float | None
    messages: int | None
    correct: int | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class ReplicateEnd(ReportRow):
    """The answer of one replicate or why it has none, the verdict, and the text it was read from."""

    QUERY: ClassVar[str] = "problem/answers"

    replicate: int
    answer: str | None
    method: str | None
    status: str
    is_evidence: bool
    reason: str | None
    verdict: str | None
    score: float | None
    grader: str | None
    grader_version: str | None
    gold: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class ProblemOfRun:
    """A problem of a run as far as it is shown: of the replicates ``named`` every slot and answer; or,
    where there are several and none is named, a line for each of the first ones.
    """

    run: Run
    problem: ProblemRow
    named: Sequence[int]
    slots: Sequence[SlotRow] = ()
    answers: Sequence[ReplicateEnd] = ()
    replicates: Sequence[ReplicateRow] = ()


def problem_of_run(
    warehouse: Warehouse,
    run_id: str,
    problem_id: str,
    *,
    is_whole: bool = False,
    replicate: int | None = None,
) -> ProblemOfRun:
    """A problem by its id or by its name in its file, with all of the 0-based ``replicate``.

    Without ``replicate`` of a run that has several it has a line for each, or, if it is to be shown whole,
    all of all. Raises BadInput for an unknown problem id, naming those that are close to it, and for an
    unknown replicate.
    """
    run = open_run(warehouse.store, run_id)
    problem = _problem_named(warehouse, run_id, problem_id)
    place = {"run_id": run_id, "problem_id": problem.problem_id}
    count = run.plan.replicates
    if replicate is not None and replicate not in range(count):
        raise BadInput(f"--replicate {replicate}: run {run_id} has replicates 0 to {count - 1}")
    if replicate is None and count > 1 and not is_whole:
        lines = warehouse.read(ReplicateRow, **place, rows=_LISTED_REPLICATES)
        return ProblemOfRun(run, problem, (), replicates=lines)
    named = list(range(count)) if replicate is None else [replicate]
    characters = _WHOLE_CHARACTERS if is_whole else _EXCERPT_CHARACTERS
    slots = warehouse.read(SlotRow, **place, replicates=named, characters=characters)
    answers = warehouse.read(ReplicateEnd, **place, replicates=named)
    return ProblemOfRun(run, problem, named, slots, answers)


def problem_sheet(found: ProblemOfRun, *, is_whole: bool = False) -> Sheet:
    """The rounds, messages and answer of a problem, or its replicates in a line each; ``is_whole`` shows
    each conclusion in full, below its round.
    """
    problem_id, metadata = found.problem.problem_id, found.problem.metadata
    name = original_name(problem_id, json.loads(metadata or "{}"))
    named = problem_id if name == problem_id else f"{problem_id} ({name})"
    gold = _beginning(found.problem.gold or ABSENT, _MESSAGE_CHARACTERS)
    sections: list[Sequence[Part]] = [[Passage(found.problem.statement)], [Facts([("gold", gold)])]]
    sections += _rounds(found, is_whole) if found.named else _replicates(found)
    return Sheet(f"problem {named} · {headline(found.run)}", sections)


def _rounds(found: ProblemOfRun, is_whole: bool) -> Iterator[Sequence[Part]]:
    """The rounds and the answer of some replicates of a problem."""
    run = found.run
    ends = {row.replicate: row for row in found.answers}
    slots: dict[int, dict[int, list[SlotRow]]] = {}
    for slot in found.slots:
        slots.setdefault(slot.replicate, {}).setdefault(slot.round, []).append(slot)
    for replicate in found.named:
        if run.plan.replicates > 1:
            yield [Heading(f"replicate {replicate}")]
        by_round, end = slots.get(replicate, {}), ends.get(replicate)
        for round_, rows in by_round.items():
            has_answer = round_ == max(by_round) and end is not None and end.status == "answered"
            yield _round(run, round_, rows, has_answer)
            yield from (_conclusion_of(row) for row in rows if is_whole)
        yield from _answer(end, _WHOLE_CHARACTERS if is_whole else _MESSAGE_CHARACTERS)
    last = run.plan.rounds
    if last > 1 and not any(slot.verdict for slot in found.slots if slot.round < last):
        yield [only_answers_graded(run.run_id)]


def _replicates(found: ProblemOfRun) -> Iterator[Sequence[Part]]:
    """The replicates of a problem, a line each."""
    run, rows = found.run, found.replicates
    columns: list[tuple[str, Format, Callable[[ReplicateRow], object]]] = [
        ("replicate", FIGURE, lambda row: row.replicate),
        ("verdict", TEXT, lambda row: row.verdict),
        ("score", decimals(2), lambda row: row.score),
        ("tokens", COUNT, lambda row: row.tokens),
        ("answer", TEXT, _short_answer),
    ]
    if run.plan.rounds > 1:
        columns.insert(3, ("right messages", FIGURE, _right_messages))
    shown: list[Part] = [table(rows, *columns)]
    if more := run.plan.replicates - len(rows):
        shown.append(Note(f" … and {more:,} more replicates", "faint"))
    yield shown
    yield [Note("--replicate N shows the rounds of one", "faint")]
    if run.plan.rounds > 1 and not any(row.correct is not None for row in rows):
        yield [only_answers_graded(run.run_id)]


def _short_answer(row: ReplicateRow) -> str:
    """An answer, or why there is none."""
    if row.status == "answered":
        return excerpt(row.answer or "", 60)
    return f"{ABSENT} {row.status.replace('_', ' ')}: {excerpt(row.reason or '', 60)}"


def _right_messages(row: ReplicateRow) -> str:
    if row.messages is None or row.correct is None:
        return ABSENT
    return f"{row.correct} of {row.messages}"


def _problem_named(warehouse: Warehouse, run_id: str, problem_id: str) -> ProblemRow:
    for one in possible_ids(problem_id):
        for found in warehouse.read(ProblemRow, run_id=run_id, problem_id=one):
            return found
    known = [row.problem_id for row in warehouse.read(ProblemName, run_id=run_id)]
    raise BadInput(no_such_problem(run_id, problem_id, known))


def _round(run: Run, round_: int, rows: Sequence[SlotRow], has_answer: bool) -> list[Part]:
    """A round's heading and its trajectories, a line each; ``has_answer`` of a replicate's last round."""
    messages = sum(row.position is not None for row in rows)
    makes = "the answer" if round_ == run.plan.rounds else f"{messages} messages for the next"
    if has_answer and round_ < run.plan.rounds:
        makes = "its messages agree: one of them has the answer, and no round follows"
    return [
        Heading(f"{round_heading(run.plan, round_)} · {makes}"),
        table(
            rows,
            ("slot", FIGURE, lambda row: row.slot),
            ("attempt", FIGURE, lambda row: row.attempt),
            ("trajectory", TEXT, lambda row: row.trajectory_id[:8]),
            ("finish", TEXT, lambda row: row.finish_reason),
            ("tokens", COUNT, lambda row: row.completion_tokens),
            ("reused", TEXT, lambda row: "yes" if row.reused else "no"),
            ("message", FIGURE, lambda row: row.position),
            ("verdict", TEXT, lambda row: row.verdict),
            ("conclusion", TEXT, _conclusion),
        ),
    ]


def _conclusion_of(row: SlotRow) -> list[Part]:
    """The whole conclusion of a slot, or why there is none."""
    verdict = "" if row.verdict is None else f" · {row.verdict}"
    heading = Heading(f"round {row.round}, slot {row.slot}{verdict}")
    if row.conclusion is not None:
        return [heading, Passage(row.conclusion)]
    return [heading, Note(f"{ABSENT} {row.error or row.conclusion_status}")]


def _conclusion(row: SlotRow) -> str:
    """The beginning of a conclusion, or why there is none."""
    if row.conclusion is not None:
        return excerpt(row.conclusion, 200)
    return f"{ABSENT} {excerpt(row.error or row.conclusion_status, 200)}"


def _answer(row: ReplicateEnd | None, characters: int) -> Iterator[list[Part]]:
    """The answer of a replicate, its score, and the message it was read from."""
    if row is None:
        yield [Heading("no answer yet")]
        return
    pairs = []
    if row.status == "answered":
        pairs.append(("answer", f"{_beginning(row.answer or '', characters)} ({row.method})"))
    else:
        pairs.append(("answer", f"{ABSENT} {row.status.replace('_', ' ')}: {row.reason}"))
    if row.verdict is not None:
        grader = f"{row.grader} {row.grader_version}"
        pairs.append(("score", f"{number(row.score, 2)} ({row.verdict}, {grader})"))
    elif not row.is_evidence:
        pairs.append(("score", f"{ABSENT} failed for a reason that is not the model's"))
    yield [Facts(pairs)]
    if row.message:
        yield [Heading("final message"), Passage(_beginning(row.message, characters))]


def problem_set_sheet(url: str, fields: str | None = None, limit: int | None = None) -> Sheet:
    """Shapes, graders and digest of a problem set, cautions about it, and its first problem.

    ``fields`` is a mapping as it is typed. Raises BadInput as `read_problem_set` does.
    """
    try:
        mapping = {} if fields is None else parse_mapping(fields)
        check_mapping(mapping)
    except ValueError as fault:
        raise BadInput(f"--fields: {fault}") from None
    found = survey_problems(url, limit, mapping)
    notes = [*_titled("caution", found.cautions), *_titled("note", found.notes)]
    shapes = table(
        list(found.shapes.items()),
        ("shape", TEXT, lambda shape: shape[0]),
        ("rows", COUNT, lambda shape: shape[1].rows),
        ("with gold", COUNT, lambda shape: shape[1].with_gold),
        ("grader", TEXT, lambda shape: _graders(shape[1])),
        ("fields", TEXT, lambda shape: ", ".join(shape[1].fields)),
    )
    return Sheet(
        f"problem set {shown(url)}",
        [[shapes], [Facts([*_facts(found), *notes])], *_first_problem(found.problems[0])],
    )


def _graders(count: ShapeCount) -> str:
    """Each grader with its problems; the name alone where there is only one."""
    if len(count.graders) <= 1:
        return next(iter(count.graders), ABSENT)
    ordered = sorted(count.graders.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered)


def _facts(found: ProblemSurvey) -> Iterator[tuple[str, str]]:
    of_content = len(found.problems) - found.named
    ids = [f"{found.named:,} from the file"] if found.named else []
    ids += [f"{of_content:,} from what the problem says"] if of_content else []
    characters, longest = found.longest
    if len(found.files) > 1:
        yield "files", listed(found.files)
    yield "problems", f"{len(found.problems):,}"
    yield "digest", found.digest
    yield "ids", ", ".join(ids)
    yield (
        "length",
        f"median {found.median_characters:,} characters, longest {characters:,} ({longest})",
    )


def _titled(title: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for position, text in enumerate(lines):
        yield title if position == 0 else "", text


def _first_problem(problem: Problem) -> Iterator[Sequence[Part]]:
    """A problem as it would be sent in the first round, and what its answer is compared with."""
    yield [Heading(f"first problem · {problem.problem_id}")]
    for turn in problem.turns:
        yield [Note(turn.role), Passage(_beginning(turn.content, _TURN_CHARACTERS))]
    gold = ABSENT if problem.gold is None else excerpt(problem.gold, _GOLD_CHARACTERS)
    grader = ABSENT if problem.gold is None else choose_grader(problem)
    yield [Facts([("gold", gold), ("grader", grader)])]


def _beginning(text: str, characters: int) -> str:
    """The first ``characters`` of a text, and how many more there are."""
    cut = len(text) - characters
    more = f"\n… and {cut:,} more characters" if cut > 0 else ""
    return text[:characters] + more

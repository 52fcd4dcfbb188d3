"""One problem of a run, readable in a terminal: its rounds, messages and answers.

What pacore makes of a problem set, readable in a terminal before anything is run.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pacore.core.config.fields import check_mapping, parse_mapping
from pacore.core.grading.choose import choose_grader
from pacore.core.plan import Plan
from pacore.core.problem import Problem, original_name, possible_ids
from pacore.errors import BadInput
from pacore.problems.golds import listed
from pacore.problems.survey import ProblemSurvey, ShapeCount, survey_problems
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    block,
    facts,
    line,
    number,
    stacked,
    to_text,
)
from pacore.store.run import Run, headline, open_run
from pacore.text import excerpt, shown, visible
from pacore.warehouse.views import Warehouse

MESSAGE_CHARACTERS = 4000


def round_heading(plan: Plan, round_: int) -> str:
    """A round in a few words: its number, and how many slots do what."""
    step = plan.step(round_)
    does = {
        "sample": f"width {step.width}",
        "condense": f"condenses up to {step.width} messages",
        "distill": "distils all messages into one",
    }
    return f"round {round_} of {plan.rounds} · {does[step.kind]}"


def show_problem(
    warehouse: Warehouse, run_id: str, problem_id: str, width: int | None = None
) -> str:
    """The rounds, messages and answer of one problem, by its id or by its name in its file.

    Raises BadInput for an unknown problem id, naming those that are close to it.
    """
    run = open_run(warehouse.store, run_id)
    known = possible_ids(problem_id)
    looked_up = (warehouse.rows("reports/problem", run_id=run_id, problem_id=one) for one in known)
    found = next((rows for rows in looked_up if rows), None)
    if found is None:
        raise BadInput(_unknown_problem(warehouse, run_id, problem_id))
    (problem,) = found
    problem_id = problem["problem_id"]
    name = original_name(problem_id, json.loads(problem["metadata"] or "{}"))
    named = problem_id if name == problem_id else f"{problem_id} ({name})"
    place = {"run_id": run_id, "problem_id": problem_id}
    answers = {row["replicate"]: row for row in warehouse.rows("reports/problem_answers", **place)}
    parts: list[Content] = [
        line(f"problem {named} · {headline(run)}", "bold"),
        line(""),
        block(problem["statement"]),
        line(""),
        facts([("gold", _beginning(problem["gold"] or ABSENT))]),
    ]
    trajectories = warehouse.rows("reports/problem_trajectories", **place)
    by_replicate = {
        replicate: list(rows)
        for replicate, rows in groupby(trajectories, key=lambda row: row["replicate"])
    }
    for replicate in range(run.plan.replicates):
        if run.plan.replicates > 1:
            parts += [line(""), line(f"replicate {replicate}", "bold")]
        rounds = groupby(by_replicate.get(replicate, []), key=lambda row: row["round"])
        for round_, rows in rounds:
            parts += [line(""), *_round(run, round_, list(rows))]
        parts += [line(""), *_answer(answers.get(replicate))]
    return to_text(stacked(*parts), width)


def _unknown_problem(warehouse: Warehouse, run_id: str, problem_id: str) -> str:
    known = [row["problem_id"] for row in warehouse.rows("reports/problem_ids", run_id=run_id)]
    close = difflib.get_close_matches(problem_id, known, n=5, cutoff=0.5) or sorted(known)[:5]
    return visible(f"run {run_id} has no problem {problem_id!r}; close to it: {', '.join(close)}")


def _round(run: Run, round_: int, rows: Sequence[dict[str, Any]]) -> list[Content]:
    """A round's heading and its trajectories, a line each."""
    messages = sum(1 for row in rows if row["position"] is not None)
    goes_on = "the answer" if round_ == run.plan.rounds else f"{messages} messages for the next"
    columns = [
        Column("slot", is_number=True),
        Column("attempt", is_number=True),
        Column("trajectory"),
        Column("finish"),
        Column("tokens", is_number=True),
        Column("reused"),
        Column("message", is_number=True),
        Column("conclusion"),
    ]
    cells = [
        (
            str(row["slot"]),
            str(row["attempt"]),
            row["trajectory_id"][:8],
            row["finish_reason"],
            number(row["completion_tokens"]),
            "yes" if row["reused"] else "no",
            ABSENT if row["position"] is None else str(row["position"]),
            _conclusion(row),
        )
        for row in rows
    ]
    heading = f"{round_heading(run.plan, round_)} · {goes_on}"
    return [line(heading, "bold"), Grid(columns, cells)]


def _conclusion(row: dict[str, Any]) -> str:
    """The beginning of a conclusion, or why there is none."""
    if row["conclusion"] is not None:
        return excerpt(row["conclusion"], 200)
    return f"{ABSENT} {excerpt(row['error'] or row['conclusion_status'], 200)}"


def _answer(row: dict[str, Any] | None) -> list[Content]:
    """What a replicate came to, and the message it was read from."""
    if row is None:
        return [line("no answer yet", "bold")]
    pairs = []
    if row["status"] == "answered":
        pairs.append(("answer", f"{_beginning(row['answer'])} ({row['method']})"))
    else:
        pairs.append(("answer", f"{ABSENT} {row['status'].replace('_', ' ')}: {row['reason']}"))
    if row["verdict"] is not None:
        grader = f"{row['grader']} {row['grader_version']}"
        pairs.append(("score", f"{number(row['score'], 2)} ({row['verdict']}, {grader})"))
    elif not row["is_evidence"]:
        pairs.append(("score", f"{ABSENT} failed for a reason that is not the model's"))
    parts: list[Content] = [facts(pairs)]
    if row["message"]:
        parts += [line(""), line("final message", "bold"), block(_beginning(row["message"]))]
    return parts


def _beginning(text: str) -> str:
    """As much of a text as a person reads, and how much more there is."""
    cut = len(text) - MESSAGE_CHARACTERS
    more = f"\n… and {cut:,} more characters" if cut > 0 else ""
    return text[:MESSAGE_CHARACTERS] + more


SHOWN_CHARACTERS = 2_000


GOLD_CHARACTERS = 300


def show_problem_set(
    url: str, fields: str | None = None, limit: int | None = None, width: int | None = None
) -> str:
    """Shapes, graders and digest of a problem set, what to know of it, and its first problem.

    ``fields`` is a mapping as it is typed. Raises BadInput as `read_problem_set` does.
    """
    try:
        mapping = {} if fields is None else parse_mapping(fields)
        check_mapping(mapping)
    except ValueError as fault:
        raise BadInput(f"--fields: {fault}") from None
    found = survey_problems(url, limit, mapping)
    parts: list[Content] = [
        line(f"problem set {shown(url)}", "bold"),
        line(""),
        _shapes(found),
        line(""),
        facts([*_facts(found), *_titled("caution", found.cautions), *_titled("note", found.notes)]),
        line(""),
        *_problem(found.problems[0]),
    ]
    return to_text(stacked(*parts), width)


def _shapes(found: ProblemSurvey) -> Grid:
    columns = [
        Column("shape"),
        Column("rows", is_number=True),
        Column("with gold", is_number=True),
        Column("grader"),
        Column("fields"),
    ]
    rows = [
        (name, f"{count.rows:,}", f"{count.with_gold:,}", _graders(count), ", ".join(count.fields))
        for name, count in found.shapes.items()
    ]
    return Grid(columns, rows)


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


def _problem(problem: Problem) -> Iterator[Content]:
    """A problem as it would be sent in the first round, and what its answer is compared with."""
    yield line(f"first problem · {problem.problem_id}", "bold")
    for turn in problem.turns:
        cut = len(turn.content) - SHOWN_CHARACTERS
        more = f"\n… and {cut:,} more characters" if cut > 0 else ""
        yield line("")
        yield line(turn.role)
        yield block(turn.content[:SHOWN_CHARACTERS] + more)
    gold = ABSENT if problem.gold is None else excerpt(problem.gold, GOLD_CHARACTERS)
    grader = ABSENT if problem.gold is None else choose_grader(problem)
    yield line("")
    yield facts([("gold", gold), ("grader", grader)])

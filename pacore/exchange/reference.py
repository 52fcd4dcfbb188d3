"""Reads rows of the reference implementation and of PaCoRe-Train: each as passes over one problem.

A row with several rounds is one pass. Responses to the problem alone are independent samples of one
prompt, so each is a pass of a single round: a replicate, over which pass@1 and maj@k are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from pacore.core.problem import Problem
from pacore.core.trajectory import Generation
from pacore.engine.faults import whole_text
from pacore.problems.issues import Issues, RowIssue
from pacore.problems.shapes.recognise import read_row
from pacore.problems.turns import NoteIssue, kind_of
from pacore.problems.values import text_of

FileFormat = Literal["reference", "pacore-train", "openai-batch"]

ENGINE = "imported"

EMPTY = "the file has an empty response, which the reference implementation writes after any error"


class ImportedPass(NamedTuple):
    """One pass over one problem: the generations of each round.

    ``fault`` is the error of a pass without any generation, whose ``rounds`` are empty.
    """

    rounds: tuple[tuple[Generation, ...], ...]
    fault: str | None = None

    @property
    def characters(self) -> int:
        """The number of characters of its texts."""
        made = (one for responses in self.rounds for one in responses)
        return sum(len(one.content or "") + len(one.reasoning or "") for one in made)


class ImportedRow(NamedTuple):
    """One row: its passes, and their problem, by name or as stated in the row."""

    line: int
    name: str | None
    problem: Problem | None
    passes: tuple[ImportedPass, ...]


RowReader = Callable[[Any, str, int], ImportedRow | list[RowIssue]]


def generation(form: FileFormat, content: str | None, reasoning: str | None) -> Generation:
    """The generation of a response in a file, which has no finish reason: ``stop`` is assumed."""
    return Generation(
        finish_reason="stop",
        content=None if content is None else whole_text(content),
        reasoning=None if reasoning is None else whole_text(reasoning),
        engine=ENGINE,
        engine_version=form,
        tries=0,
    )


def tombstone(form: FileFormat, fault: str) -> Generation:
    """The generation of a response that is missing because of ``fault``."""
    error = whole_text(" ".join(fault.split()))[:300]
    return Generation("engine_error", error=error, engine=ENGINE, engine_version=form, tries=0)


def reference_row(row: Any, file: str, line: int) -> ImportedRow | list[RowIssue]:
    """A row of the reference implementation's ``results.jsonl``: one pass through all its rounds.

    ``request_id`` names the problem; ``round_responses`` has the responses of each round in the
    order of the next prompt. A row with ``error`` instead is a pass that failed.
    """
    issues = Issues(file, line)
    if not isinstance(row, Mapping):
        issues.note("", f"is {kind_of(row)}, not an object with fields")
        return issues.found
    name = _name("request_id", row.get("request_id"), issues.note)
    if (error := row.get("error")) is not None and "round_responses" not in row:
        if not isinstance(error, str):
            issues.note("error", f"is {kind_of(error)}; must be text")
        one = ImportedPass((), str(error) or "the file names an error without words")
    else:
        one = ImportedPass(_rounds(row.get("round_responses"), issues.note))
    return issues.found or ImportedRow(line, name, None, (one,))


def _name(field: str, value: Any, note: NoteIssue) -> str | None:
    name = text_of(value)
    if not name:
        note(field, f"is {kind_of(value)}; must name a problem" if value != "" else "is empty")
        return None
    return name


def _rounds(value: Any, note: NoteIssue) -> tuple[tuple[Generation, ...], ...]:
    if not isinstance(value, list) or not value:
        note("round_responses", f"is {kind_of(value)}; must be a list of rounds")
        return ()
    rounds = []
    for number, responses in enumerate(value):
        place = f"round_responses[{number}]"
        if not isinstance(responses, list) or not responses:
            note(place, f"is {kind_of(responses)}; must be a list of responses")
            continue
        made = [
            _reference_response(response, f"{place}[{index}]", note)
            for index, response in enumerate(responses)
        ]
        rounds.append(tuple(made))
    if len(rounds) == len(value) and len(rounds[-1]) != 1:
        note(f"round_responses[{len(rounds) - 1}]", "the last round has one response")
    return tuple(rounds)


def _reference_response(value: Any, place: str, note: NoteIssue) -> Generation:
    made = _response("reference", value, place, note)
    if not made.content and not made.reasoning:
        return tombstone("reference", EMPTY)
    return made


def _response(form: FileFormat, value: Any, place: str, note: NoteIssue) -> Generation:
    """A response as text, or as an object with content and reasoning."""
    if isinstance(value, str):
        return generation(form, value, None)
    if not isinstance(value, Mapping):
        note(place, f"is {kind_of(value)}; must be text or an object with content")
        return generation(form, None, None)
    if "content" not in value:
        note(f"{place}.content", "missing")
    texts = {}
    for field in ("content", "reasoning", "reasoning_content"):
        text = value.get(field)
        if text is not None and not isinstance(text, str):
            note(f"{place}.{field}", f"is {kind_of(text)}; must be text or null")
            text = None
        texts[field] = text
    return generation(form, texts["content"], texts["reasoning"] or texts["reasoning_content"])


def train_row(row: Any, file: str, line: int) -> ImportedRow | list[RowIssue]:
    """A row of a PaCoRe-Train file: a problem with a pool of responses, each of which is a pass.

    ``conversation`` and ``ground_truth`` state the problem as in any problem set; ``responses`` are
    texts, or objects with content.
    """
    issues = Issues(file, line)
    if not isinstance(row, Mapping):
        issues.note("", f"is {kind_of(row)}, not an object with fields")
        return issues.found
    responses = row.get("responses")
    made: list[Generation] = []
    if not isinstance(responses, list) or not responses:
        issues.note("responses", f"is {kind_of(responses)}; must be a list of responses")
    else:
        made = [
            _response("pacore-train", response, f"responses[{index}]", issues.note)
            for index, response in enumerate(responses)
        ]
    problem = read_row(row, file, line)
    if not isinstance(problem, Problem):
        return issues.found + problem
    name = problem.problem_id if row.get("id") is not None else None
    passes = tuple(ImportedPass(((one,),)) for one in made)
    return issues.found or ImportedRow(line, name, problem, passes)


ROW_READERS: dict[str, RowReader] = {"reference": reference_row, "pacore-train": train_row}

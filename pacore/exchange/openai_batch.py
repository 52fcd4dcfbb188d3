"""Reads OpenAI batch files: the output, one response body per line, and the input with its prompts.

vLLM's ``run_batch`` and other services write the same format. A line of the output has only the
``custom_id`` of its request; the prompt is in the input file, and without that file the ``custom_id``
has to be the problem's id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pacore.core.engine import EngineFault
from pacore.core.problem import Problem, Turn, possible_ids
from pacore.core.prompt import prompt_digest
from pacore.core.trajectory import Generation
from pacore.engine.chat.completion import read_generation
from pacore.engine.chat.responses import Response
from pacore.engine.faults import Origin
from pacore.exchange.reference import ENGINE, FileFormat, ImportedPass, ImportedRow, tombstone
from pacore.exchange.source import SourceFile
from pacore.problems.formats.rows import RowFault
from pacore.problems.issues import Issues, RowIssue
from pacore.problems.turns import SPEAKERS, kind_of

FORM: FileFormat = "openai-batch"

NO_LINE = "the batch's output has no line for this request"

_NUMBERED = re.compile(r"(?P<name>.+)[-_#:/.][0-9]+")


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of the input file: its problem, its number of responses, and its line."""

    problem_id: str
    responses: int
    line: int


@dataclass(frozen=True)
class BatchPrompts:
    """The requests of the input file by ``custom_id``, and their common system prompt."""

    sha256: str
    requests: Mapping[str, BatchRequest]
    system: str | None = None


def read_prompts(
    source: SourceFile, problems: list[Problem]
) -> tuple[BatchPrompts, list[RowIssue]]:
    """Read the input file, and find the problem of each request by its turns; with all issues."""
    by_turns = {prompt_digest(problem.turns): problem.problem_id for problem in problems}
    requests: dict[str, BatchRequest] = {}
    systems: dict[str | None, int] = {}
    found: list[RowIssue] = []
    for row in source.rows():
        issues = Issues(source.url, row.line)
        if isinstance(row, RowFault):
            issues.note(row.field, row.what)
        else:
            _read_request(row.value, (by_turns, requests, systems), issues)
        found += issues.found
    if len(systems) > 1:
        lines = " and ".join(str(line) for line in list(systems.values())[:2])
        what = f"lines {lines} have different system prompts; a run has one"
        found.append(RowIssue(source.url, 0, "body.messages", what))
    return BatchPrompts(source.sha256, requests, next(iter(systems), None)), found


def _read_request(
    row: Any,
    known: tuple[dict[str, str], dict[str, BatchRequest], dict[str | None, int]],
    issues: Issues,
) -> None:
    """Add one request to ``known``: problems by turns, requests by id, lines of system prompts."""
    by_turns, requests, systems = known
    body = row.get("body") if isinstance(row, Mapping) else None
    custom_id = row.get("custom_id") if isinstance(row, Mapping) else None
    if not isinstance(custom_id, str) or not custom_id:
        issues.note("custom_id", "missing")
        return
    turns = _turns(body.get("messages") if isinstance(body, Mapping) else None)
    if not isinstance(body, Mapping) or turns is None:
        issues.note("body.messages", "must be a list of turns with role and text")
        return
    responses = body.get("n") or 1
    if not isinstance(responses, int) or responses < 1:
        issues.note("body.n", f"is {kind_of(responses)}; must be a whole number")
        return
    system = None
    problem_id = by_turns.get(prompt_digest(turns))
    if problem_id is None and turns and turns[0].role == "system":
        system = turns[0].content
        problem_id = by_turns.get(prompt_digest(turns[1:]))
    if problem_id is None:
        issues.note("body.messages", "equals the turns of none of the problems")
    elif custom_id in requests:
        issues.note("custom_id", f"{custom_id!r} is in line {requests[custom_id].line} too")
    else:
        requests[custom_id] = BatchRequest(problem_id, responses, issues.line)
        systems.setdefault(system, issues.line)


def _turns(value: Any) -> tuple[Turn, ...] | None:
    """The turns of a request; None for any value that is no list of turns with text."""
    if not isinstance(value, list) or not value:
        return None
    turns = []
    for one in value:
        if not isinstance(one, Mapping):
            return None
        content = one.get("content")
        if isinstance(content, list):
            parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
            content = "".join(map(str, parts)) if all(isinstance(p, str) for p in parts) else None
        role = SPEAKERS.get(str(one.get("role")).lower())
        if not isinstance(content, str) or role is None:
            return None
        turns.append(Turn(role, content))
    return tuple(turns)


class BatchRows:
    """Reads the lines of a batch's output as rows, then makes one for each request without a line."""

    def __init__(self, prompts: BatchPrompts | None, problem_ids: set[str]) -> None:
        self._prompts = prompts
        self._problem_ids = problem_ids
        self._answered: dict[str, int] = {}

    def read(self, row: Any, file: str, line: int) -> ImportedRow | list[RowIssue]:
        """The passes of one line, or its issues."""
        issues = Issues(file, line)
        if not isinstance(row, Mapping):
            issues.note("", f"is {kind_of(row)}, not an object with fields")
            return issues.found
        custom_id = row.get("custom_id")
        if not isinstance(custom_id, str) or not custom_id:
            issues.note("custom_id", "missing")
            return issues.found
        if (before := self._answered.setdefault(custom_id, line)) != line:
            issues.note("custom_id", f"{custom_id!r} is in line {before} too")
        request = self._request(custom_id, issues)
        made = _generations(row, custom_id, request.responses, issues)
        passes = tuple(ImportedPass(((one,),)) for one in made)
        return issues.found or ImportedRow(line, request.problem_id, None, passes)

    def unanswered(self) -> Iterator[ImportedRow]:
        """Tombstones for the requests without a line, in the order of the input file."""
        for custom_id, request in (self._prompts.requests if self._prompts else {}).items():
            if custom_id not in self._answered:
                lost = ImportedPass(((tombstone(FORM, NO_LINE),),))
                yield ImportedRow(0, request.problem_id, None, (lost,) * request.responses)

    def _request(self, custom_id: str, issues: Issues) -> BatchRequest:
        if self._prompts is None:
            numbered = _NUMBERED.fullmatch(custom_id)
            is_known = not self._problem_ids.isdisjoint(possible_ids(custom_id))
            name = numbered["name"] if numbered and not is_known else custom_id
            return BatchRequest(name, 1, 0)
        if custom_id not in self._prompts.requests:
            issues.note("custom_id", f"the input file has no request {custom_id!r}")
            return BatchRequest(custom_id, 1, 0)
        return self._prompts.requests[custom_id]


def _generations(
    row: Mapping[str, object], custom_id: str, responses: int, issues: Issues
) -> list[Generation]:
    """A generation for each choice of one line, or a tombstone for each missing response."""
    response = row.get("response")
    if response is None:
        error = row.get("error")
        if not isinstance(error, Mapping):
            issues.note("response", "missing, and there is no error instead")
            return []
        words = [str(error[name]) for name in ("code", "message") if error.get(name)]
        return [tombstone(FORM, f"{custom_id}: {': '.join(words)}")] * responses
    status = response.get("status_code") if isinstance(response, Mapping) else None
    body = response.get("body") if isinstance(response, Mapping) else None
    if type(status) is not int or body is None:
        issues.note("response", "must have status_code and body")
        return []
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if status != 200 or not isinstance(choices, list) or len(choices) <= 1:
        return [_read(custom_id, status, body)] * (1 if status == 200 else responses)
    # Without usage, which is the sum over all choices.
    shared = {name: value for name, value in body.items() if name != "usage"}
    return [_read(custom_id, status, {**shared, "choices": [choice]}) for choice in choices]


def _read(custom_id: str, status: int, body: Any) -> Generation:
    """One response, read like those of endpoints."""
    answer = Response(status, json.dumps(body).encode())
    try:
        made = read_generation(Origin(custom_id), answer, datetime.now(UTC))
    except EngineFault as fault:
        made = fault.as_generation()
    return replace(made, engine=ENGINE, engine_version=FORM, tries=0)

"""Runs programs for what they print or return, and not for a verdict: those that make tests and solve them.

Whatever such a program does is data: it is confined, its time, memory and output have limits, and what
ended it is an outcome with a line to show.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import NamedTuple, Self

from pacore.core.grading.programs.results import CaseOutcome
from pacore.core.problem import text_fault
from pacore.sandbox.inside.calling import NO_RESULT, head
from pacore.sandbox.inside.script import EXIT_REQUESTED
from pacore.sandbox.process import Mode, ProcessResult, require_sandbox
from pacore.sandbox.runner import SANDBOXES, Limits, Runner, failure, one_line


class ProgramOutput(NamedTuple):
    """What a program gave: ``text``, or ``failed``, what ended it without any; one of both is None."""

    text: str | None
    failed: CaseOutcome | None = None

    @property
    def why(self) -> str:
        """What ended it, in a line; empty where nothing did."""
        if self.failed is None:
            return ""
        what = self.failed.outcome.replace("_", " ")
        return f"{what}: {self.failed.excerpt}" if self.failed.excerpt else what


class ProgramRunner:
    """Runs one program on inputs, one after the other. A context manager.

    A program without ``entry_point`` reads an input from standard input, and gives what it prints; of a
    function the input are its arguments as a JSON list, and it gives its result as JSON. Raises NoSandbox
    where programs cannot be confined.
    """

    def __init__(self, source: str, limits: Limits, entry_point: str | None = None) -> None:
        require_sandbox()
        self._limits, self._is_function = limits, entry_point is not None
        program = source.encode("utf-8", "surrogatepass")
        if entry_point is not None:
            program = head(entry_point, "") + program
        self._program = program
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(SANDBOXES)
        mode: Mode = "function" if self._is_function else "script"
        self._runner = self._stack.enter_context(Runner(mode, self._program, self._limits))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, given: str) -> ProgramOutput:
        """What the program gives for an input. Raises GraderFault where its sandbox fails twice."""
        result = self._runner.run(given.encode("utf-8", "surrogatepass"), self._limits.time_seconds)
        if result.exit_code in (EXIT_REQUESTED, NO_RESULT):
            return _failed(result)
        if (failed := failure(result, self._limits.time_seconds)) is not None:
            return ProgramOutput(None, failed)
        if self._is_function and not result.return_value:
            return ProgramOutput(None, CaseOutcome("runtime_error", excerpt="it returned nothing"))
        return _read(result.return_value if self._is_function else result.output)


def _failed(result: ProcessResult) -> ProgramOutput:
    code = result.return_value.decode(errors="replace") or str(result.exit_code)
    reason = one_line(result.last_line or f"exit code {code}")
    return ProgramOutput(None, CaseOutcome("runtime_error", excerpt=reason))


def _read(output: bytes) -> ProgramOutput:
    try:
        text = output.decode()
    except UnicodeDecodeError:
        return ProgramOutput(None, CaseOutcome("wrong_output", excerpt="it is not UTF-8"))
    if why := text_fault(text):
        return ProgramOutput(None, CaseOutcome("wrong_output", excerpt=f"it {why}"))
    return ProgramOutput(text)

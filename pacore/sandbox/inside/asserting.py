"""Tests written as assertions, away from the program: what they call is called in its sandbox.

The program never sees an assertion, and what it answers arrives here as plain data or as a
reference to something that stays there (`Remote`), so that nothing it wrote decides a comparison
with plain data.
"""

from __future__ import annotations

import builtins
import json
import os

from pacore.sandbox.inside.calling import or_none
from pacore.sandbox.inside.values import decode, encode
from pacore.sandbox.inside.world import OUT_OF_MEMORY, compiled, write_all

TYPE_CHECKING = False


if TYPE_CHECKING:  # typing itself is slow to import
    from types import CodeType
    from typing import Any, NoReturn

ASKED, ANSWERS, REPORTS = 3, 4, 5
"""Descriptors: what is asked of the program, what it answers, and what came of the tests."""

PASSED = 0


FAILED = 1


NOT_EQUAL = 3
"""What came of a test whose assertion is false."""


FAULTY = 4
"""What came of a test that cannot say anything of any program."""


TOO_LONG = 5
"""What came of a test that the program answered with more than it may."""


GONE = 6
"""What came of a test during which the program ended."""


LAST = (OUT_OF_MEMORY, TOO_LONG, GONE)
"""What the program, or the process of its tests, does not survive."""

FILE = "test.py"


_MOST_SAID = 1000


class Gone(BaseException):
    """The program ended while it was asked; no test can catch that with the program's exceptions."""


class FaultyTests(BaseException):
    """What the tests do cannot be done, whatever the program is."""


class TooLong(BaseException):
    """The program answers with more bytes than it may."""


class Program:
    """The other end: asks the program's process, one call at a time.

    ``most_bytes`` is how much it may answer in one test.
    """

    def __init__(self, most_bytes: int) -> None:
        self._answers = os.fdopen(ANSWERS, "rb")
        self._most_bytes = most_bytes
        self.begin()

    def begin(self) -> None:
        """Go on to the next test."""
        self.is_asked = False
        self.is_lost = False
        self._left_bytes = self._most_bytes

    def ask(self, operation: str, *arguments: Any, **keywords: Any) -> Any:
        """The value the program answers with. Raises its exception, as one of Python's own.

        Raises Gone and TooLong, after which the program ``is_lost``.
        """
        self.is_asked = True
        call = [encode(part, _number_of) for part in (operation, list(arguments), keywords)]
        self.is_lost = True
        try:
            write_all(ASKED, json.dumps(call).encode("ascii") + b"\n", os.write)
        except BrokenPipeError:
            raise Gone from None
        line = self._answers.readline(self._left_bytes + 1)
        self._left_bytes -= len(line)
        if self._left_bytes < 0:
            raise TooLong
        if not line.endswith(b"\n"):
            raise Gone
        self.is_lost = False
        answer = json.loads(line)
        if "error" in answer:
            raise _raised(*answer["error"])
        return decode(answer["value"], lambda number: Remote(self, number))


def _number_of(value: Any) -> int:
    if not isinstance(value, Remote):
        raise FaultyTests(f"a {type(value).__name__} cannot be handed to a program")
    number: int = object.__getattribute__(value, "_number")
    return number


def _raised(name: str, said: str) -> Exception:
    """A built-in exception by name; one that would end this process becomes a RuntimeError."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(said)
        except TypeError:  # some take more than a text, such as UnicodeDecodeError
            pass
    return RuntimeError(f"{name}: {said}")


class Remote:
    """A value that stays with the program: whatever is done with it is done there.

    It equals another one if the program says so, and plain data never.
    """

    def __init__(self, program: Program, number: int) -> None:
        object.__setattr__(self, "_ask", program.ask)
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._ask("call", self, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return self._ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", self, key, value)

    def __contains__(self, item: Any) -> bool:
        return bool(self._ask("contains", self, item))

    def __iter__(self) -> Any:
        return self._ask("iter", self)

    def __next__(self) -> Any:
        return self._ask("next", self)

    def __len__(self) -> Any:
        return self._ask("len", self)

    def __bool__(self) -> bool:
        return self._ask("bool", self) is True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._ask("eq", self, other) is True

    def __hash__(self) -> Any:
        return self._ask("hash", self)

    def __str__(self) -> Any:
        return self._ask("str", self)

    def __repr__(self) -> Any:
        return self._ask("repr", self)


class Names(dict[str, "Any"]):
    """The names of tests; what nothing here defines is asked of the program."""

    def __init__(self, program: Program) -> None:
        super().__init__(__name__="tests")
        self._program = program

    def __missing__(self, name: str) -> Any:
        if name.startswith("__") or hasattr(builtins, name):
            raise KeyError(name)
        self[name] = value = self._program.ask("name", name)
        return value


def run_assertions(given: bytes) -> NoReturn:
    """Run tests one after another against a program that answers elsewhere.

    ``given`` is JSON ``[tests, entry point or null, prelude, setup, most bytes of answers]``. For
    each test a line of JSON is written to `REPORTS`: what came of it, and a line that says why.
    """
    tests, entry_point, prelude, setup, most_bytes = json.loads(given)
    program = Program(most_bytes)
    # A prompt that stops within a function is no module, and then defines nothing for its tests.
    stub = or_none(prelude.encode("utf-8", "surrogatepass"))
    for test in tests:
        source = test.encode("utf-8", "surrogatepass")
        found, said = _outcome(program, source, stub, setup, entry_point)
        report = json.dumps([found, " ".join(said.split())[:_MOST_SAID]])
        write_all(REPORTS, report.encode("ascii") + b"\n", os.write)
        if found in LAST:
            break
    os._exit(0)


def _outcome(
    program: Program, test: bytes, stub: CodeType | None, setup: str, entry_point: str | None
) -> tuple[int, str]:
    program.begin()
    try:
        _assert(program, test, stub, setup, entry_point)
        if program.is_lost:  # and the test caught that, whatever it is
            raise Gone
    except AssertionError as fault:
        return NOT_EQUAL, str(fault) or _line_of(fault, test)
    except MemoryError:
        return OUT_OF_MEMORY, ""
    except FaultyTests as fault:
        return FAULTY, str(fault)
    except TooLong:
        return TOO_LONG, ""
    except Gone:
        return GONE, "the program ended while it was asked"
    except BaseException as fault:  # a test may raise whatever it likes
        return FAILED if program.is_asked else FAULTY, f"{type(fault).__name__}: {fault}"
    return PASSED, ""


def _assert(
    program: Program, test: bytes, stub: CodeType | None, setup: str, entry_point: str | None
) -> None:
    try:
        code = compiled(test, FILE)
        before = compiled(setup.encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError) as fault:
        raise FaultyTests(f"the tests are not Python: {fault}") from fault
    names = Names(program)
    if stub:
        exec(stub, names)
    exec(before, names)
    if entry_point is not None:
        names[entry_point] = program.ask("name", entry_point)
        # A test that fails before it calls anything is faulty, unless there is nothing to call.
        program.is_asked = not isinstance(names[entry_point], Remote)
    exec(code, names)


def _line_of(fault: BaseException, test: bytes) -> str:
    """The line of the test that raised."""
    number = 0
    trace = fault.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == FILE:
            number = trace.tb_lineno
        trace = trace.tb_next
    return test.decode(errors="replace").splitlines()[number - 1] if number else ""

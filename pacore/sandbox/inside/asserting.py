"""Runs tests written as assertions; the functions they call run in the program's sandbox.

The program cannot read an assertion, and its answers are plain data or references to values in its
process (`Remote`), so that no code of the program decides a comparison with plain data.
"""

from __future__ import annotations

import builtins
import json
import os

from pacore.sandbox.inside.calling import or_none
from pacore.sandbox.inside.values import decode_value, encode_value
from pacore.sandbox.inside.world import OUT_OF_MEMORY, TYPE_CHECKING, compiled, write_all

if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, NoReturn

CALLS_OUT, ANSWERS_IN, REPORTS = 3, 4, 5
"""Descriptors: calls to the program, its answers, and the reports of the tests."""

PASSED = 0

FAILED = 1

NOT_EQUAL = 3
"""Report of a test whose assertion is false."""

FAULTY = 4
"""Report of a test that fails with every program."""

TOO_LONG = 5
"""Report of a test in which the program's answers exceeded the output limit."""

PROGRAM_ENDED = 6
"""Report of a test during which the program ended."""

FINAL = (OUT_OF_MEMORY, TOO_LONG, PROGRAM_ENDED)
"""Reports after which the program, or the process of its tests, cannot go on."""

FILE = "test.py"

_MESSAGE_CHARACTERS = 1000


class ProgramEnded(BaseException):
    """The program ended during a call. No Exception, so that tests do not catch it."""


class FaultyTests(BaseException):
    """The tests cannot be run with any program."""


class AnswerTooLong(BaseException):
    """The program's answers exceed the limit of bytes."""


class Program:
    """Calls functions in the program's process, one at a time.

    ``most_bytes`` limits its answers in one test.
    """

    def __init__(self, most_bytes: int) -> None:
        self._answers = os.fdopen(ANSWERS_IN, "rb")
        self._most_bytes = most_bytes
        self.begin()

    def begin(self) -> None:
        """Begin the next test."""
        self.was_called = False
        self.is_lost = False
        self._left_bytes = self._most_bytes

    def call(self, operation: str, *arguments: Any, **keywords: Any) -> Any:
        """The program's answer to an operation. Raises its exception, as a built-in one.

        Raises ProgramEnded and AnswerTooLong, after which ``is_lost`` is True.
        """
        self.was_called = True
        call = [encode_value(part, _number_of) for part in (operation, list(arguments), keywords)]
        self.is_lost = True
        try:
            write_all(CALLS_OUT, json.dumps(call).encode("ascii") + b"\n", os.write)
        except BrokenPipeError:
            raise ProgramEnded from None
        line = self._answers.readline(self._left_bytes + 1)
        self._left_bytes -= len(line)
        if self._left_bytes < 0:
            raise AnswerTooLong
        if not line.endswith(b"\n"):
            raise ProgramEnded
        self.is_lost = False
        answer = json.loads(line)
        if "error" in answer:
            raise _raised(*answer["error"])
        return decode_value(answer["value"], lambda number: Remote(self, number))


def _number_of(value: Any) -> int:
    if not isinstance(value, Remote):
        raise FaultyTests(f"a {type(value).__name__} cannot be passed to a program")
    number: int = object.__getattribute__(value, "_number")
    return number


def _raised(name: str, text: str) -> Exception:
    """A built-in exception by name; a RuntimeError for one that is no Exception, such as SystemExit."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # some need more arguments, such as UnicodeDecodeError
            pass
    return RuntimeError(f"{name}: {text}")


class Remote:
    """A reference to a value in the program's process, where all operations on it are executed.

    It equals another reference if the values are equal there, and never plain data.
    """

    def __init__(self, program: Program, number: int) -> None:
        object.__setattr__(self, "_call", program.call)
        object.__setattr__(self, "_number", number)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._call("call", self, *arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return self._call("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._call("setattr", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._call("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._call("setitem", self, key, value)

    def __contains__(self, item: Any) -> bool:
        return bool(self._call("contains", self, item))

    def __iter__(self) -> Any:
        return self._call("iter", self)

    def __next__(self) -> Any:
        return self._call("next", self)

    def __len__(self) -> Any:
        return self._call("len", self)

    def __bool__(self) -> bool:
        return self._call("bool", self) is True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._call("eq", self, other) is True

    def __hash__(self) -> Any:
        return self._call("hash", self)

    def __str__(self) -> Any:
        return self._call("str", self)

    def __repr__(self) -> Any:
        return self._call("repr", self)


class Names(dict[str, "Any"]):
    """The namespace of tests; undefined names are looked up in the program."""

    def __init__(self, program: Program) -> None:
        super().__init__(__name__="tests")
        self._program = program

    def __missing__(self, name: str) -> Any:
        if name.startswith("__") or hasattr(builtins, name):
            raise KeyError(name)
        self[name] = value = self._program.call("name", name)
        return value


def run_assertions(given: bytes) -> NoReturn:
    """Run tests one after another against a program in another process.

    ``given`` is JSON ``[tests, entry point or null, prelude, setup, most bytes of answers]``. For
    each test a line of JSON is written to `REPORTS`: its code, and a message.
    """
    tests, entry_point, prelude, setup, most_bytes = json.loads(given)
    program = Program(most_bytes)
    # A prompt that ends within a function is no module, and defines nothing for its tests.
    stub = or_none(prelude.encode("utf-8", "surrogatepass"))
    for test in tests:
        source = test.encode("utf-8", "surrogatepass")
        code, message = _outcome(program, source, stub, setup, entry_point)
        report = json.dumps([code, " ".join(message.split())[:_MESSAGE_CHARACTERS]])
        write_all(REPORTS, report.encode("ascii") + b"\n", os.write)
        if code in FINAL:
            break
    os._exit(0)


def _outcome(
    program: Program, test: bytes, stub: CodeType | None, setup: str, entry_point: str | None
) -> tuple[int, str]:
    program.begin()
    try:
        _assert(program, test, stub, setup, entry_point)
        if program.is_lost:  # a test may catch BaseException
            raise ProgramEnded
    except AssertionError as fault:
        return NOT_EQUAL, str(fault) or _line_of(fault, test)
    except MemoryError:
        return OUT_OF_MEMORY, ""
    except FaultyTests as fault:
        return FAULTY, str(fault)
    except AnswerTooLong:
        return TOO_LONG, ""
    except ProgramEnded:
        return PROGRAM_ENDED, "the program ended during a call"
    except BaseException as fault:  # a test may raise anything
        return FAILED if program.was_called else FAULTY, f"{type(fault).__name__}: {fault}"
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
        names[entry_point] = program.call("name", entry_point)
        # A test that fails before its first call is faulty, unless the entry point is no function.
        program.was_called = not isinstance(names[entry_point], Remote)
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

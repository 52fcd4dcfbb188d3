"""Tests written as assertions, away from the program: what they call is called in its sandbox.

The program never sees an assertion, and what it answers arrives here as plain data or as a
reference to something that stays there (`Remote`), so that nothing it wrote decides a comparison
with plain data.
"""

from __future__ import annotations

import builtins
import json
import os
import sys

from pacore.programs.inside.calling import all_of, or_none, write_all
from pacore.programs.inside.host import CALLS, OUT_OF_MEMORY, RESULTS, compiled
from pacore.programs.inside.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is slow to import
    from typing import Any, NoReturn

NOT_EQUAL = 3
"""Exit code of tests whose assertion is false."""
FAULTY = 4
"""Exit code of tests that cannot say anything of any program."""

FILE = "test.py"


class Gone(BaseException):
    """The program ended while it was asked; no test can catch that with the program's exceptions."""


class FaultyTests(BaseException):
    """What the tests do cannot be done, whatever the program is."""


class Program:
    """The other end: asks the program's process, one call at a time."""

    def __init__(self) -> None:
        self._answers = os.fdopen(CALLS, "rb")
        self.is_asked = False

    def ask(self, operation: str, *arguments: Any, **keywords: Any) -> Any:
        """The value the program answers with. Raises its exception, as one of Python's own."""
        self.is_asked = True
        call = [encode(part, _number_of) for part in (operation, list(arguments), keywords)]
        write_all(RESULTS, json.dumps(call).encode("ascii") + b"\n", os.write)
        line = self._answers.readline()
        if line in (b"", b"\n"):
            raise Gone
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
    """Run one test, which standard input holds, against a program that answers elsewhere.

    ``given`` is JSON ``[entry point or null, prelude, setup]``. Ends with 0 where the test raises
    nothing, with `NOT_EQUAL`, `OUT_OF_MEMORY` or `FAULTY`, else with 1; the last line of standard
    error says why.
    """
    program = Program()
    test = all_of(0)
    try:
        _assert(program, test, *json.loads(given))
    except AssertionError as fault:
        _end(NOT_EQUAL, str(fault) or _line_of(fault, test))
    except MemoryError:
        _end(OUT_OF_MEMORY, "")
    except FaultyTests as fault:
        _end(FAULTY, str(fault))
    except Gone:
        _end(1, "the program ended while it was asked")
    except BaseException as fault:  # a test may raise whatever it likes
        said = f"{type(fault).__name__}: {fault}"
        _end(1 if program.is_asked else FAULTY, said)
    _end(0, "")


def _assert(
    program: Program, test: bytes, entry_point: str | None, prelude: str, setup: str
) -> None:
    try:
        code = compiled(test, FILE)
        before = compiled(setup.encode("utf-8", "surrogatepass"))
    except (SyntaxError, ValueError) as fault:
        raise FaultyTests(f"the tests are not Python: {fault}") from fault
    names = Names(program)
    # A prompt that stops within a function is no module, and then defines nothing for its tests.
    if stub := or_none(prelude.encode("utf-8", "surrogatepass")):
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


def _end(code: int, said: str) -> NoReturn:
    sys.stderr.write(" ".join(said.split()))
    sys.stderr.flush()
    os._exit(code)

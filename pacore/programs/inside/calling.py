"""A program as functions: called once with JSON, or served to tests that run in another sandbox."""

from __future__ import annotations

import builtins
import json
import operator
import os
import sys

from pacore.programs.inside.host import CALLS, OUT_OF_MEMORY, RESULTS, compiled, main_module
from pacore.programs.inside.values import decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is slow to import
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

NAME = "program"
"""The module a program is: no main program, whose demonstration would run."""

NO_RESULT = 87
"""Exit code of a process whose function returned what JSON cannot say."""
RAISED = 88
"""Exit code of a process whose function raised; 1 may be what the function itself exits with."""


def run_function(given: bytes) -> NoReturn:
    """Call a function once; ``given`` is its `head` and the program.

    Standard input holds the arguments as JSON; `RESULTS` takes the result as JSON.
    """
    (entry_point, prelude), program = _parts(given)
    arguments = json.loads(all_of(0))
    say, write = json.dumps, os.write
    try:
        result = entry(load(prelude, program), entry_point)(*arguments)
    except SystemExit:
        raise
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(RAISED)
    try:
        said = say(result).encode("ascii")
    except (TypeError, ValueError, RecursionError) as fault:
        print(f"the result is not JSON: {fault}", file=sys.stderr, flush=True)
        os._exit(NO_RESULT)
    write_all(RESULTS, said, write)
    os._exit(0)


def head(entry_point: str, prelude: str) -> bytes:
    """What stands before a program that is given to `run_function` or `serve_calls`."""
    return json.dumps([entry_point, prelude]).encode("ascii") + b"\n"


def _parts(given: bytes) -> tuple[list[str], bytes]:
    head, _, program = given.partition(b"\n")
    return json.loads(head), program


def load(prelude: str, program: bytes) -> dict[str, Any]:
    """Execute a program after its prelude and give its names. Raises what it raises."""
    namespace = main_module(NAME)
    for code in _pieces(prelude.encode("utf-8", "surrogatepass"), program):
        exec(code, namespace)
    return namespace


def _pieces(prelude: bytes, program: bytes) -> list[CodeType]:
    """Code of prelude and program; a program that is no module by itself continues the prelude.

    So a prompt that ends with a signature may be answered with the function or with its body,
    whose first line may have lost its indentation.
    """
    try:
        # Apart, since a program may begin with an import from __future__.
        code = compiled(program)
    except SyntaxError as fault:
        for between in (b"\n", b"\n    ") if prelude else ():
            if continued := or_none(prelude.rstrip() + between + program):
                return [continued]
        raise fault
    before = or_none(prelude)
    return [before, code] if before else [code]


def or_none(source: bytes) -> CodeType | None:
    """The code of a source, None where it is no module."""
    try:
        return compiled(source)
    except SyntaxError:
        return None


def entry(namespace: dict[str, Any], name: str) -> Callable[..., Any]:
    """A function by name: a method of a class ``Solution`` that has it, else the module's own.

    Raises NameError where the program defines neither.
    """
    solution = namespace.get("Solution")
    if isinstance(solution, type) and hasattr(solution, name):
        method: Callable[..., Any] = getattr(solution(), name)
        return method
    if name not in namespace:
        raise NameError(f"name '{name}' is not defined")
    function: Callable[..., Any] = namespace[name]
    return function


OPERATIONS: dict[str, Callable[..., Any]] = {
    "bool": bool,
    "contains": operator.contains,
    "eq": operator.eq,
    "getattr": getattr,
    "getitem": operator.getitem,
    "hash": hash,
    "iter": iter,
    "len": len,
    "next": next,
    "repr": repr,
    "setattr": setattr,
    "setitem": operator.setitem,
    "str": str,
}
"""What tests may ask of a value that stays here, besides calling it."""


def serve_calls(given: bytes) -> NoReturn:
    """Answer calls, one JSON line each, until an empty one; ``given`` is as for `run_function`.

    A call is ``[operation, arguments, keywords]``, its answer ``{"value": …}`` or
    ``{"error": [name of a built-in exception, text]}``.
    """
    (_, prelude), program = _parts(given)
    ours: list[Any] = []

    def lend(value: Any) -> int:
        ours.append(value)
        return len(ours) - 1

    say, write, understand = json.dumps, os.write, json.loads
    try:
        namespace = load(prelude, program)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    with os.fdopen(CALLS, "rb") as calls:
        for line in calls:
            if line == b"\n":
                break
            operation, arguments, keywords = decode(understand(line), ours.__getitem__)
            try:
                value = _perform(namespace, operation, arguments, keywords)
                answer = {"value": encode(value, lend)}
            except BaseException as fault:  # whatever a program raises is its answer
                answer = {"error": _error(fault)}
            write_all(RESULTS, say(answer).encode("ascii") + b"\n", write)
    os._exit(0)


def _perform(namespace: dict[str, Any], operation: str, arguments: Any, keywords: Any) -> Any:
    if operation == "name":
        return entry(namespace, *arguments)
    if operation == "call":
        return arguments[0](*arguments[1:], **keywords)
    return OPERATIONS[operation](*arguments)


def _error(fault: BaseException) -> list[str]:
    """The nearest built-in class of an exception, and what it says, if it can say it."""
    for kind in type(fault).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            break
    try:
        said = str.__str__(str(fault))[:1000]
    except BaseException:  # a program's exception may raise while it is read
        said = ""
    return [kind.__name__, said]


def all_of(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


def write_all(descriptor: int, data: bytes, write: Callable[[int, bytes], int]) -> None:
    while data:
        data = data[write(descriptor, data) :]

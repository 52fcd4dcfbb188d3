"""A program as functions: called once with JSON, or served to tests that run in another sandbox."""

from __future__ import annotations

import builtins
import json
import operator
import os
import sys

from pacore.sandbox.inside.values import decode, encode
from pacore.sandbox.inside.world import (
    OUT_OF_MEMORY,
    UNLOADED,
    all_of,
    code_of,
    compiled,
    main_module,
    stand_before,
    write_all,
)

TYPE_CHECKING = False


if TYPE_CHECKING:  # typing itself is slow to import
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

NAME = "program"
"""The module a program is: no main program, whose demonstration would run."""

RESULT = 3
"""Descriptor that takes the result of a function, as JSON."""


ANSWERS, CALLS = 3, 4
"""Descriptors of a program that is called: what it answers, and what it is called with."""

NO_RESULT = 87
"""Exit code of a process whose function returned what JSON cannot say."""


RAISED = 88
"""Exit code of a process whose function raised; 1 may be what the function itself exits with."""


def run_function(given: bytes) -> NoReturn:
    """Call a function once; ``given`` is its `head` and the program, standard input the arguments."""
    (entry_point, prelude), program = _parts(given)
    arguments = json.loads(all_of(0))
    say, write, leave = json.dumps, os.write, os._exit
    namespace = main_module(NAME)
    stand_before(namespace)
    raised = UNLOADED
    try:
        load(namespace, prelude, program)
        function = entry(namespace, entry_point)
        raised = RAISED
        result = function(*arguments)
    except SystemExit as ending:
        leave(code_of(ending))
    except MemoryError:
        leave(OUT_OF_MEMORY)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        leave(raised)
    try:
        said = say(result).encode("ascii")
    except (TypeError, ValueError, RecursionError) as fault:
        print(f"the result is not JSON: {fault}", file=sys.stderr, flush=True)
        leave(NO_RESULT)
    write_all(RESULT, said, write)
    leave(0)


def head(entry_point: str, prelude: str) -> bytes:
    """What stands before a program that is given to `run_function` or `serve_calls`."""
    return json.dumps([entry_point, prelude]).encode("ascii") + b"\n"


def _parts(given: bytes) -> tuple[list[str], bytes]:
    head, _, program = given.partition(b"\n")
    return json.loads(head), program


def load(namespace: dict[str, Any], prelude: str, program: bytes) -> None:
    """Execute a program after its prelude. Raises what it raises."""
    for code in _pieces(prelude.encode("utf-8", "surrogatepass"), program):
        exec(code, namespace)


def _pieces(prelude: bytes, program: bytes) -> list[CodeType]:
    """Code of prelude and program; a program that is no module by itself continues the prelude.

    So a prompt that ends with a signature may be answered with the function or with its body, of
    which the first line, or every line, may have lost its indentation.
    """
    try:
        # Apart, since a program may begin with an import from __future__.
        code = compiled(program)
    except SyntaxError:
        indented = b"\n    ".join(program.split(b"\n"))
        for body in (b"\n" + program, b"\n    " + program, b"\n    " + indented):
            if prelude and (continued := or_none(prelude.rstrip() + body)):
                return [continued]
        raise
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
    """Answer calls, one JSON line each, until there are none; ``given`` is as for `run_function`.

    A call is ``[operation, arguments, keywords]``, its answer ``{"value": …}`` or
    ``{"error": [name of a built-in exception, text]}``.
    """
    (_, prelude), program = _parts(given)
    ours: list[Any] = []

    def lend(value: Any) -> int:
        ours.append(value)
        return len(ours) - 1

    say, write, understand, leave = json.dumps, os.write, json.loads, os._exit
    namespace = main_module(NAME)
    try:
        load(namespace, prelude, program)
    except SystemExit as ending:
        leave(code_of(ending))
    except MemoryError:
        leave(OUT_OF_MEMORY)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        leave(UNLOADED)
    with os.fdopen(CALLS, "rb") as calls:
        for line in calls:
            operation, arguments, keywords = decode(understand(line), ours.__getitem__)
            try:
                value = _perform(namespace, operation, arguments, keywords)
                answer = {"value": encode(value, lend)}
            except BaseException as fault:  # whatever a program raises is its answer
                answer = {"error": _error(fault)}
            write_all(ANSWERS, say(answer).encode("ascii") + b"\n", write)
    leave(0)


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

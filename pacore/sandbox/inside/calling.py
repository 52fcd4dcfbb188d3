"""Calls the functions of a program: once with JSON, or for tests that run in another sandbox."""

from __future__ import annotations

import builtins
import json
import operator
import os
import sys

from pacore.sandbox.inside.values import decode_value, encode_value
from pacore.sandbox.inside.world import (
    OUT_OF_MEMORY,
    TYPE_CHECKING,
    UNLOADED,
    compiled,
    exit_code_of,
    main_module,
    predefine_names,
    read_all,
    write_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

    from pacore.sandbox.inside.world import Namespace

MODULE_NAME = "program"
"""Name of a program's module: not ``__main__``, whose code under that condition would run."""

RESULT = 3
"""Descriptor to which the return value of a function is written, as JSON."""

ANSWERS, CALLS = 3, 4
"""Descriptors of a called program: for its answers and for the calls."""

NO_RESULT = 87
"""Exit code of a process whose function returned a value that JSON cannot represent."""

RAISED = 88
"""Exit code of a process whose function raised; the function itself may exit with 1."""


def run_function(given: bytes) -> NoReturn:
    """Call a function once; ``given`` is its `head` and the program, standard input its arguments."""
    (entry_point, prelude), program = _parts(given)
    arguments = json.loads(read_all(0))
    # Bound now: a program may replace the attributes of these modules.
    dumps, write, leave = json.dumps, os.write, os._exit
    namespace = main_module(MODULE_NAME)
    predefine_names(namespace)
    raised = UNLOADED
    try:
        load(namespace, prelude, program)
        function = entry(namespace, entry_point)
        raised = RAISED
        result = function(*arguments)
    except SystemExit as ending:
        leave(exit_code_of(ending))
    except MemoryError:
        leave(OUT_OF_MEMORY)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        leave(raised)
    try:
        encoded = dumps(result).encode("ascii")
    except (TypeError, ValueError, RecursionError) as fault:
        print(f"the result is not JSON: {fault}", file=sys.stderr, flush=True)
        leave(NO_RESULT)
    write_all(RESULT, encoded, write)
    leave(0)


def head(entry_point: str, prelude: str) -> bytes:
    """The line that precedes a program passed to `run_function` or `serve_calls`."""
    return json.dumps([entry_point, prelude]).encode("ascii") + b"\n"


def _parts(given: bytes) -> tuple[list[str], bytes]:
    head, _, program = given.partition(b"\n")
    return json.loads(head), program


def load(namespace: Namespace, prelude: str, program: bytes) -> None:
    """Execute a program after its prelude. Raises whatever the program raises."""
    for code in _pieces(prelude.encode("utf-8", "surrogatepass"), program):
        exec(code, namespace)


def _pieces(prelude: bytes, program: bytes) -> list[CodeType]:
    """Code of prelude and program; a program that is no module by itself is appended to the prelude.

    So the answer to a prompt that ends with a signature may be the function or its body, where the
    indentation of the first line, or of all lines, may be missing.
    """
    try:
        # Compiled separately, since a program may begin with an import from __future__.
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
    """The code of a source; None where it is no module."""
    try:
        return compiled(source)
    except SyntaxError:
        return None


def entry(namespace: Namespace, name: str) -> Callable[..., Any]:
    """A function by name: a method of a class ``Solution``, else a name of the module.

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


_OPERATIONS: dict[str, Callable[..., Any]] = {
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
"""Operations of tests on a referenced value, besides calling it."""


def serve_calls(given: bytes) -> NoReturn:
    """Answer calls, one JSON line each, until their end; ``given`` is as for `run_function`.

    A call is ``[operation, arguments, keywords]``, its answer ``{"value": …}`` or
    ``{"error": [name of a built-in exception, text]}``.
    """
    (_, prelude), program = _parts(given)
    referenced: list[Any] = []

    def refer(value: Any) -> int:
        referenced.append(value)
        return len(referenced) - 1

    # Bound now: a program may replace the attributes of these modules.
    dumps, write, loads, leave = json.dumps, os.write, json.loads, os._exit
    namespace = main_module(MODULE_NAME)
    try:
        load(namespace, prelude, program)
    except SystemExit as ending:
        leave(exit_code_of(ending))
    except MemoryError:
        leave(OUT_OF_MEMORY)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        leave(UNLOADED)
    with os.fdopen(CALLS, "rb") as calls:
        for line in calls:
            operation, arguments, keywords = decode_value(loads(line), referenced.__getitem__)
            try:
                value = _perform(namespace, operation, arguments, keywords)
                answer = {"value": encode_value(value, refer)}
            except BaseException as fault:  # whatever a program raises is its answer
                answer = {"error": _error(fault)}
            write_all(ANSWERS, dumps(answer).encode("ascii") + b"\n", write)
    leave(0)


def _perform(namespace: Namespace, operation: str, arguments: Any, keywords: Any) -> Any:
    if operation == "name":
        return entry(namespace, *arguments)
    if operation == "call":
        return arguments[0](*arguments[1:], **keywords)
    return _OPERATIONS[operation](*arguments)


def _error(fault: BaseException) -> list[str]:
    """The nearest built-in class of an exception, and its text; empty where that raises."""
    for kind in type(fault).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            break
    try:
        text = str.__str__(str(fault))[:1000]
    except BaseException:  # __str__ of a program's exception may raise
        text = ""
    return [kind.__name__, text]

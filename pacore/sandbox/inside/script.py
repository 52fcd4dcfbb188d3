"""A program as a whole: it reads standard input, prints, and ends as Python does."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

from pacore.sandbox.inside.world import (
    OUT_OF_MEMORY,
    UNLOADED,
    code_of,
    compiled,
    main_module,
    stand_before,
)

TYPE_CHECKING = False


if TYPE_CHECKING:  # typing itself is slow to import
    from types import CodeType
    from typing import NoReturn

SAID = 3
"""Descriptor that takes the exit code of a process that ends with `LEFT`."""

LEFT = 89
"""Exit code of a program that raised SystemExit with another code than 0: what it printed counts."""


def run_script(program: bytes) -> NoReturn:
    """Be the main program."""
    sys.argv[:] = ["program.py"]
    namespace = main_module("__main__")
    stand_before(namespace)
    code, raised = 0, UNLOADED
    try:
        loaded = _code(program)
        raised = 1
        exec(loaded, namespace)
    except SystemExit as ending:
        code = _left(ending)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:  # whatever a program raises is its end
        sys.excepthook(*sys.exc_info())
        code = raised
    _end(code)


def _code(program: bytes) -> CodeType:
    """The code of a program, in which ``return`` outside of functions ends it.

    Public runners put a program into a function, where it may stand.
    """
    try:
        return compiled(program)
    except SyntaxError as fault:
        if "'return' outside function" not in str(fault):
            raise
    import ast

    class Returns(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.Return):
                return ast.copy_location(ast.Raise(ast.Name("SystemExit", ast.Load())), node)
            has_scope = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            return node if has_scope else self.generic_visit(node)

    tree = Returns().visit(ast.parse(program))
    assert isinstance(tree, ast.Module)
    return compile(ast.fix_missing_locations(tree), "program.py", "exec", dont_inherit=True)


def _left(ending: SystemExit) -> int:
    code = code_of(ending)
    if not code:
        return 0
    with suppress(OSError):  # a program may close any descriptor
        os.write(SAID, str(code).encode())
    return LEFT


def _end(code: int) -> NoReturn:
    """End as Python does, but for taking its memory apart, which takes longer than most programs."""
    sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            stream.flush()  # type: ignore[union-attr]  # None counts as anything, too
        except BaseException:  # a program may have closed it, or put anything in its place
            continue
    os._exit(code)

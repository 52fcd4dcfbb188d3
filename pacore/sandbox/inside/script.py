"""Runs a program as the main module: it reads standard input and prints to standard output."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

from pacore.sandbox.inside.world import (
    OUT_OF_MEMORY,
    TYPE_CHECKING,
    UNLOADED,
    compiled,
    exit_code_of,
    main_module,
    predefine_names,
)

if TYPE_CHECKING:
    from types import CodeType
    from typing import NoReturn

EXIT_CODE = 3
"""Descriptor to which a process that ends with `EXIT_REQUESTED` writes the program's exit code."""

EXIT_REQUESTED = 89
"""Exit code of a program that raised SystemExit with a code other than 0; its output is compared."""


def run_script(program: bytes) -> NoReturn:
    """Run ``program`` as the main module, and end the process."""
    sys.argv[:] = ["program.py"]
    namespace = main_module("__main__")
    predefine_names(namespace)
    code, raised = 0, UNLOADED
    try:
        loaded = _code(program)
        raised = 1
        exec(loaded, namespace)
    except SystemExit as ending:
        code = _requested(ending)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except BaseException:  # whatever a program raises ends it
        sys.excepthook(*sys.exc_info())
        code = raised
    _end(code)


def _code(program: bytes) -> CodeType:
    """The code of a program, in which ``return`` outside of a function ends it, as in public runners,
    which put a program into a function.
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


def _requested(ending: SystemExit) -> int:
    code = exit_code_of(ending)
    if not code:
        return 0
    with suppress(OSError):  # a program may close any descriptor
        os.write(EXIT_CODE, str(code).encode())
    return EXIT_REQUESTED


def _end(code: int) -> NoReturn:
    """End as Python does, but without freeing memory, which takes longer than most programs."""
    sys.modules["threading"]._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.__stdout__, sys.stderr):
        try:
            stream.flush()  # type: ignore[union-attr]  # None raises an exception, which is caught
        except BaseException:  # a program may have closed or replaced it
            continue
    os._exit(code)

"""What the public runners of LiveCodeBench, HumanEval and MBPP decide, said once more in few lines.

Written from their documented rules, to compare verdicts with: a program is put together and run in a
bare Python, without a sandbox and without anything of pacore. Only for programs of our own.
"""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

SECONDS = 6.0

STAR = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
IMPORTS = "".join(f"from {name} import *\n" for name in STAR)
IMPORTS += "".join(f"import {name}\n" for name in STAR[:-2]) + "sys.setrecursionlimit(50000)\n"


def _ends_well(source: str, given: str = "") -> str | None:
    """What a program prints, None where it does not end well."""
    try:
        ended = subprocess.run(
            ["/usr/bin/python3", "-c", source],
            input=given,
            capture_output=True,
            text=True,
            timeout=10 * SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return ended.stdout if ended.returncode == 0 else None


def livecodebench_stdin(program: str, tests: Sequence[tuple[str, str]]) -> bool:
    """The program becomes a function after its imports; SystemExit is an end like any other."""
    try:
        tree = ast.parse(program)
    except SyntaxError:
        return False
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'":
        tree.body[-1:] = last.body
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in tree.body if node not in imports] or [ast.Pass()]
    function = ast.parse("def wrapped_function(): pass").body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = others
    module = ast.unparse(ast.Module([*imports, ast.fix_missing_locations(function)], []))
    source = f"{IMPORTS}\n{module}\ntry:\n    wrapped_function()\nexcept SystemExit:\n    pass\n"
    return all(_same_output(expected, _ends_well(source, given)) for given, expected in tests)


def _same_output(expected: str, found: str | None) -> bool:
    if found is None:
        return False
    one, other = ([line.strip() for line in text.strip().split("\n")] for text in (expected, found))
    return len(one) == len(other) and all(map(_same_line, one, other))


def _same_line(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return [Decimal(word) for word in one.split()] == [Decimal(word) for word in other.split()]
    except InvalidOperation:
        return False


def livecodebench_function(program: str, name: str, tests: Sequence[tuple[str, str]]) -> bool:
    """Arguments are JSON, one a line; a tuple counts as the list it would be."""
    made = "Solution()" if "class Solution" in program else "sys.modules['__main__']"
    calls = "".join(
        f"found = getattr({made}, {name!r})(*map(json.loads, {given.splitlines()!r}))\n"
        "found = list(found) if isinstance(found, tuple) else found\n"
        f"assert found == json.loads({expected!r})\n"
        for given, expected in tests
    )
    # Not the main program, in which a demonstration would run.
    source = f"{IMPORTS}\n__name__ = 'tmp_sol'\n{program}\nimport sys, json\n{calls}print('all')"
    return (_ends_well(source) or "").endswith("all\n")


def humaneval(prompt: str, completion: str, check: str, entry_point: str) -> bool:
    source = f"{prompt}{completion}\n{check}\ncheck({entry_point})"
    return _ends_well(_executed(source)) is not None


def mbpp(program: str, setup: str, tests: Sequence[str]) -> bool:
    return _ends_well(_executed("\n".join([program, setup, *tests]))) is not None


def _executed(source: str) -> str:
    """Executed in a namespace of its own, where SystemExit is a failure as well."""
    return f"try:\n    exec({source!r}, {{}})\nexcept SystemExit:\n    raise ValueError from None\n"


def json_lines(*arguments: Any) -> str:
    return "\n".join(map(json.dumps, arguments))

"""Converts the tests of programs in data sets to gold answers.

The accepted forms are pacore's own (`pacore.core.grading.programs.tests`),
``{"inputs": […], "outputs": […], "fn_name"?}`` (APPS, TACO, PrimeCode), a list of
``{"input", "output"}`` (LiveCodeBench), and a list of ``assert`` statements (MBPP, AceCode).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue

from pacore.core.grading.programs.tests import (
    AssertionTests,
    CodeTests,
    FunctionTests,
    StdinTests,
    as_gold,
    assertion_tests,
    from_gold,
    function_tests,
    stdin_tests,
)
from pacore.core.identity import canonical_json
from pacore.core.problem import text_fault
from pacore.errors import BadInput
from pacore.problems.turns import NoteIssue

KINDS = ("stdin", "function", "assertions")

NOT_TESTS = (
    "has no tests of a program, which are pacore's own, {inputs, outputs}, a list of {input, output}, "
    "or a list of asserts"
)


def code_gold(name: str, value: Any, note: NoteIssue) -> str | None:
    """The gold answer for tests in any accepted form; None, with a note, for any other value."""
    try:
        if isinstance(value, StdinTests | FunctionTests | AssertionTests):
            gold = as_gold(value)
        else:
            decoded = decoded_tests(value)
            if decoded is None:
                note(name, NOT_TESTS)
                return None
            gold = as_gold(_tests(decoded))
        if fault := text_fault(gold):
            note(name, fault)
            return None
        return gold
    except BadInput as fault:
        note(name, str(fault))
    except UnicodeEncodeError:
        note(name, "has a lone surrogate, which is not text")
    return None


def decoded_tests(value: Any) -> Any | None:
    """Tests as JSON data, decoded where they are text; None for anything else."""
    if isinstance(value, str):
        if not value.lstrip().startswith(("{", "[")):
            return None
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, Mapping):
        is_own = value.get("kind") in KINDS and "tests" in value
        is_paired = isinstance(value.get("inputs"), list) and isinstance(value.get("outputs"), list)
        return value if is_own or is_paired else None
    if not isinstance(value, list) or not value:
        return None
    are_pairs = all(isinstance(one, Mapping) and {"input", "output"} <= set(one) for one in value)
    are_asserts = all(isinstance(one, str) and "assert" in one for one in value)
    return value if are_pairs or are_asserts else None


def _tests(value: Any) -> CodeTests:
    """Raises BadInput naming the field that is wrong."""
    if isinstance(value, Mapping):
        if "kind" in value:
            return from_gold(_encoded(value))
        return _paired(value["inputs"], value["outputs"], value.get("fn_name"))
    if isinstance(value[0], str):
        return assertion_tests(value)
    return stdin_tests((one["input"], one["output"]) for one in value)


def _encoded(value: Any) -> str:
    try:
        return canonical_json(value).decode()
    except (TypeError, ValueError) as fault:
        raise BadInput(f"tests: are not JSON: {fault}") from fault


def _paired(inputs: list[Any], outputs: list[Any], name: Any) -> CodeTests:
    """Tests from ``inputs`` and ``outputs``: of standard input, or with ``fn_name`` of a function."""
    if len(inputs) != len(outputs):
        raise BadInput(f"inputs: there are {len(inputs)}, and {len(outputs)} outputs")
    if name is None:
        return stdin_tests(zip(map(_lines, inputs), map(_lines, outputs), strict=True))
    if not all(isinstance(one, str) for one in (*inputs, *outputs)):
        # In these sets a result may or may not be wrapped in a list, and no field tells which.
        raise BadInput(
            "inputs: arguments of a function as lists are ambiguous; write kind: function"
        )
    return called_tests(name, zip(inputs, outputs, strict=True))


def _lines(text: Any) -> Any:
    """A text, or the lines of one."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "\n".join(text)
    return text


def called_tests(entry_point: str, tests: Iterable[tuple[str, str]]) -> FunctionTests:
    """Tests of a function in LiveCodeBench's form: one argument per line, arguments and result as JSON.

    Raises BadInput naming the first test that is not JSON.
    """
    pairs: list[tuple[list[JsonValue], JsonValue]] = []
    for index, (given, expected) in enumerate(tests):
        try:
            arguments = [json.loads(line) for line in given.split("\n") if line.strip()]
            pairs.append((arguments, json.loads(expected)))
        except (ValueError, RecursionError) as fault:
            what = str(fault).partition(":")[0]
            raise BadInput(
                f"tests.{index}: an argument or the result is not JSON: {what}"
            ) from fault
    return function_tests(entry_point, pairs)

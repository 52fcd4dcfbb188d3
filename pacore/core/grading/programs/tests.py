"""The tests of a code problem; their gold answer is one canonical JSON text.

    {"kind": "stdin", "tests": [{"input": "1 2\\n", "output": "3\\n"}], "checker": "decimals"}
    {"kind": "function", "entry_point": "add", "tests": [{"arguments": [1, 2], "result": 3}]}
    {"kind": "assertions", "entry_point": "add", "tests": ["assert add(1, 2) == 3"]}

Every kind may have ``time_limit_seconds`` (CPU seconds of a test) and ``memory_limit_bytes``. Fields with
default values are left out, so that a field added later changes no gold answer.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Literal, TypedDict, TypeVar, Unpack

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from pacore.core.grading.checkers import TESTLIB, checker_named
from pacore.core.grading.programs.program import Wanted
from pacore.core.identity import canonical_json
from pacore.core.validation import IDENTIFIER, first_fault
from pacore.errors import BadInput

MOST_READ = 16
"""Number of assertions that are searched for the names they call."""

Identifier = Annotated[str, Field(pattern=IDENTIFIER, max_length=200)]


class CustomChecker(BaseModel):
    """A problem's custom checker: Python source that defines ``check(input, output, expected)``.

    It returns True or False, or points from 0 to 1; or it exits like testlib's checkers, with 0 for an
    accepted output, 1 or 2 for a wrong one. Anything else is an error of the checker.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str


class _Tests(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    time_limit_seconds: float | None = Field(default=None, gt=0.0, le=3600.0, strict=False)
    memory_limit_bytes: int | None = Field(default=None, ge=2**20, le=2**40)


class StdinTest(BaseModel):
    """The standard input of a program, and the expected output."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    input: str
    output: str


class StdinTests(_Tests):
    """Tests of a program that reads standard input and prints; ``checker`` compares the outputs.

    The program runs as in LiveCodeBench's runner: the names of 18 modules are predefined, and its output
    is compared whatever its exit code is, unless an exception or a signal ends it.
    """

    kind: Literal["stdin"] = "stdin"
    tests: Annotated[tuple[StdinTest, ...], Field(min_length=1, strict=False)]
    checker: str | CustomChecker = "decimals"

    @field_validator("checker")
    @classmethod
    def _is_known(cls, checker: str | CustomChecker) -> str | CustomChecker:
        if not isinstance(checker, str):
            return checker
        if checker_named(checker) is None:
            raise ValueError(f"unknown checker {checker!r}")
        return TESTLIB.get(checker, checker)


class FunctionTest(BaseModel):
    """The positional arguments of a function, and the expected return value."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    arguments: Annotated[tuple[JsonValue, ...], Field(strict=False)]
    result: JsonValue


class FunctionTests(_Tests):
    """Tests of a function, or of a method of a class ``Solution``; ``prelude`` precedes the program.

    The names of 18 modules are predefined, as in LiveCodeBench's runner. Return values are converted to
    JSON, where a tuple is a list and the keys of a dict are text, and compared as in Python. With a
    ``tolerance``, numbers may differ by it, absolutely or relatively.
    """

    kind: Literal["function"] = "function"
    entry_point: Identifier
    tests: Annotated[tuple[FunctionTest, ...], Field(min_length=1, strict=False)]
    prelude: str = ""
    tolerance: float | None = Field(default=None, gt=0.0, lt=1.0)


class AssertionTests(_Tests):
    """Tests written as Python code, each of which raises unless it is passed.

    ``prelude`` precedes the program and the tests; ``setup`` precedes the tests only. Names that the
    tests use and none of these defines are looked up in the program, and ``entry_point`` always is.
    """

    kind: Literal["assertions"] = "assertions"
    tests: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    entry_point: Identifier | None = None
    prelude: str = ""
    setup: str = ""


CodeTests = StdinTests | FunctionTests | AssertionTests

_ADAPTER: TypeAdapter[CodeTests] = TypeAdapter(Annotated[CodeTests, Field(discriminator="kind")])

_SHARED = TypeVar("_SHARED", bound=_Tests)


class StatedLimits(TypedDict, total=False):
    """Further arguments of all functions that construct tests."""

    time_limit_seconds: float | None
    memory_limit_bytes: int | None


def stdin_tests(
    tests: Iterable[tuple[str, str]],
    checker: str | CustomChecker = "decimals",
    **limits: Unpack[StatedLimits],
) -> StdinTests:
    """Tests from (input, output) pairs. Raises BadInput for invalid tests, as do the other functions."""
    pairs = [{"input": given, "output": expected} for given, expected in tests]
    return _made(StdinTests, tests=pairs, checker=checker, **limits)


def function_tests(
    entry_point: str,
    tests: Iterable[tuple[Sequence[JsonValue], JsonValue]],
    *,
    prelude: str = "",
    tolerance: float | None = None,
    **limits: Unpack[StatedLimits],
) -> FunctionTests:
    """Tests from (arguments, result) pairs, as in LiveCodeBench."""
    pairs = [{"arguments": list(given), "result": result} for given, result in tests]
    return _made(
        FunctionTests,
        entry_point=entry_point,
        tests=pairs,
        prelude=prelude,
        tolerance=tolerance,
        **limits,
    )


def assertion_tests(
    tests: Iterable[str],
    *,
    entry_point: str | None = None,
    prelude: str = "",
    setup: str = "",
    **limits: Unpack[StatedLimits],
) -> AssertionTests:
    """Tests from ``assert`` statements, as in MBPP; ``setup`` has their imports."""
    return _made(
        AssertionTests,
        tests=list(tests),
        entry_point=entry_point,
        prelude=prelude,
        setup=setup,
        **limits,
    )


def check_tests(
    entry_point: str, check: str, *, prelude: str = "", **limits: Unpack[StatedLimits]
) -> AssertionTests:
    """Tests from a function ``check(candidate)``, as in HumanEval; ``prelude`` is its prompt.

    Each statement of the function with an assertion becomes a separate test, together with all earlier
    statements without one, so that the score is a pass rate. Assertions of constants, which occur in
    HumanEval, are left out.
    """
    try:
        tests = _one_assertion_each(check)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        raise BadInput(f"check: is not Python: {fault}") from fault
    if not tests:
        raise BadInput("check: has no function check(candidate) with an assertion")
    calls = [f"{test}\n\ncheck({entry_point})" for test in tests]
    return assertion_tests(calls, entry_point=entry_point, prelude=prelude, **limits)


def _one_assertion_each(check: str) -> list[str]:
    """Copies of a module, in each of which its function ``check`` has one statement with assertions.

    The module itself where only an inner function has assertions; none without any.
    """
    module = ast.parse(check)
    functions = [
        node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "check"
    ]
    if not functions or not _asserted(functions[-1]):
        return []
    function = functions[-1]
    before: list[ast.stmt] = []
    copies: list[str] = []
    for statement in list(function.body):
        asserted = _asserted(statement)
        if not asserted or isinstance(statement, ast.FunctionDef | ast.ClassDef):
            before.append(statement)
        elif not all(isinstance(node.test, ast.Constant) for node in asserted):
            function.body = [*before, statement]
            copies.append(ast.unparse(module))
    return copies or [check]


def _asserted(statement: ast.stmt) -> list[ast.Assert]:
    return [node for node in ast.walk(statement) if isinstance(node, ast.Assert)]


def as_gold(tests: CodeTests) -> str:
    """The gold answer of tests: canonical JSON, equal for equal tests.

    Raises BadInput for an argument or result that is not JSON, such as NaN.
    """
    stated = tests.model_dump(exclude_defaults=True)
    try:
        return canonical_json({"kind": tests.kind, **stated}).decode()
    except (ValueError, RecursionError) as fault:
        raise BadInput(f"tests: are not JSON: {fault}") from fault


def from_gold(gold: str) -> CodeTests:
    """The tests in a gold answer. Raises BadInput with a one-line message that names the field."""
    try:
        return _ADAPTER.validate_json(gold)
    except ValidationError as fault:
        # The first part of the location is the kind of the tests, which the user knows.
        raise _bad_field(fault, skipped=1) from fault


def wanted_of(spec: str, gold: str | None) -> Wanted | None:
    """What the tests in a gold answer run; None without tests, and for other graders than ``code``."""
    return _wanted(gold) if spec == "code" and gold is not None else None


@lru_cache(maxsize=4)
def _wanted(gold: str) -> Wanted | None:
    try:
        tests = from_gold(gold)
    except BadInput:
        return None
    if isinstance(tests, StdinTests):
        return Wanted()
    if tests.entry_point is not None:
        return Wanted(frozenset((tests.entry_point,)), may_continue=bool(tests.prelude))
    assert isinstance(tests, AssertionTests), "tests of a function name it"
    return Wanted(_called(tests), may_continue=bool(tests.prelude))


def _called(tests: AssertionTests) -> frozenset[str]:
    """Names that assertions call and do not define: those common to all, or if there are none, all."""
    found: list[set[str]] = []
    for test in tests.tests[:MOST_READ]:
        try:
            nodes = list(ast.walk(ast.parse(f"{tests.setup}\n{test}")))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        called = {
            node.func.id
            for node in nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        bound = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        bound |= {
            alias.asname or alias.name
            for node in nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        found.append(called - bound - _BUILTIN)
    return frozenset(set.intersection(*found) or set.union(*found)) if found else frozenset()


_BUILTIN = frozenset(dir(builtins))


def _made(model: type[_SHARED], **fields: object) -> _SHARED:
    try:
        return model.model_validate(fields)
    except ValidationError as fault:
        raise _bad_field(fault, skipped=0) from fault


def _bad_field(fault: ValidationError, skipped: int) -> BadInput:
    """The first error, with its location such as ``tests.3.output``."""
    first = first_fault(fault)
    return BadInput(str(first._replace(place=first.place[skipped:])))

"""Programs graded by tests: HumanEval, MBPP, LiveCodeBench.

Their published prompts are for models that continue a text; the statements made here request one block
of Python, which the grader ``code`` runs.

LiveCodeBench publishes its private tests as base64 of zlib of a pickle of JSON text. Loading a pickle
can execute any code, so its opcodes are read instead, and any opcode beyond those of one text is refused.
"""

from __future__ import annotations

import base64
import json
import pickletools
import zlib
from collections.abc import Mapping
from typing import Any

from pacore.core.grading.programs.tests import CodeTests, assertion_tests, check_tests, stdin_tests
from pacore.errors import BadInput
from pacore.problems.parts import Field, ProblemParts
from pacore.problems.program_tests import called_tests
from pacore.problems.shapes.shape import (
    RowFields,
    Shape,
    first_given,
    list_at,
    named,
    text_at,
    texts,
)
from pacore.problems.turns import NoteIssue, kind_of

_BLOCK = "Put the whole program into one ```python block."

COMPLETE = (
    "Complete this Python function. Put all of it, with the imports and helpers it needs, into one "
    "```python block.\n\n```python\n{prompt}\n```"
)

FUNCTION = "{text}\n\nThe program must pass these tests:\n\n```python\n{tests}\n```\n\n" + _BLOCK

STDIN = "{text}\n\nWrite a Python program that reads standard input and prints to standard output. {block}"

STARTER = (
    "{text}\n\nWrite it in Python and begin with this code:\n\n```python\n{starter}\n```\n\n"
    + _BLOCK
)

LCB_TESTS = ("public_test_cases", "private_test_cases")

CASE_FIELDS = ("input", "output")


def _is_humaneval(row: RowFields) -> bool:
    return texts(row, "prompt", "test", "entry_point")


def _humaneval_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """The prompt also precedes the program: tests use its helpers and imports."""
    prompt = text_at(row, "prompt")
    tests = None
    try:
        tests = check_tests(text_at(row, "entry_point"), text_at(row, "test"), prelude=prompt)
    except BadInput as fault:
        note("test", str(fault))
    used = ("prompt", "test", "entry_point")
    statement = COMPLETE.format(prompt=prompt.strip("\n"))
    return _code_parts(row, Field("prompt", statement), ("test", tests), used)


def _is_mbpp(row: RowFields) -> bool:
    tests = row.get("test_list")
    is_list = isinstance(tests, list) and bool(tests)
    return is_list and (texts(row, "text") or texts(row, "prompt"))


def _mbpp_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """``test_list`` is in the statement and graded, as by its authors; ``challenge_test_list`` is not."""
    name = "text" if texts(row, "text") else "prompt"
    shown = list_at(row, "test_list")
    tests = None
    try:
        setup = _lines("test_imports", row.get("test_imports"))
        setup += _lines("test_setup_code", row.get("test_setup_code"))
        tests = assertion_tests(shown, setup="\n".join(setup))
    except BadInput as fault:
        note("test_list", str(fault))
    listed = "\n".join(one for one in shown if isinstance(one, str))
    statement = FUNCTION.format(text=text_at(row, name).strip(), tests=listed)
    used = (name, "test_list", "test_imports", "test_setup_code")
    return _code_parts(row, Field(name, statement), ("test_list", tests), used)


def _lines(name: str, value: Any) -> list[str]:
    """Code as one text or as a list of them. Raises BadInput."""
    found = [] if value is None else value if isinstance(value, list) else [value]
    for line in found:
        if not isinstance(line, str):
            raise BadInput(f"{name}: is {kind_of(line)}; must be code")
    return [line for line in found if line.strip()]


def _is_livecodebench(row: RowFields) -> bool:
    return texts(row, "question_content") and first_given(row, LCB_TESTS) is not None


def _livecodebench_parts(row: RowFields, note: NoteIssue) -> ProblemParts:
    """Public and private tests are joined; ``metadata`` has the name of a tested function."""
    tests = None
    cases = [_cases(name, row.get(name), note) for name in LCB_TESTS]
    if None not in cases:
        given = [case for found in cases for case in found or []]
        try:
            tests = _livecodebench_tests(given, _decoded(row.get("metadata")))
        except BadInput as fault:
            note("|".join(LCB_TESTS), str(fault))
    text, starter = text_at(row, "question_content").strip(), row.get("starter_code")
    if isinstance(starter, str) and starter.strip():
        statement = STARTER.format(text=text, starter=starter.rstrip())
    else:
        statement = STDIN.format(text=text, block=_BLOCK)
    used = ("question_content", "starter_code", "metadata", *LCB_TESTS)
    return _code_parts(row, Field("question_content", statement), (LCB_TESTS[0], tests), used)


def _cases(name: str, value: Any, note: NoteIssue) -> list[Any] | None:
    """Test cases of a list, of its JSON text, or of that text packed; None, with a note, for others."""
    if value is None or value == "":
        return []
    try:
        decoded = _unpacked(value) if isinstance(value, str) else value
    except ValueError as fault:
        note(name, str(fault))
        return None
    if not isinstance(decoded, list):
        note(name, f"is {kind_of(decoded)}; must be a list of test cases")
        return None
    return decoded


def _unpacked(text: str) -> Any:
    """The JSON value of a text, plain or packed. Raises ValueError with a one-line message."""
    if not text.lstrip().startswith("["):
        text = packed_text(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise ValueError("is a packed text that is not JSON") from fault


def _livecodebench_tests(cases: list[Any], metadata: Any) -> CodeTests:
    """The tests of all cases. Raises BadInput naming the first invalid one."""
    for index, case in enumerate(cases, 1):
        texts_of = [case.get(name) for name in CASE_FIELDS] if isinstance(case, Mapping) else [None]
        if not all(isinstance(text, str) for text in texts_of):
            raise BadInput(f"test {index} of {len(cases)} has no text as input and output")
    pairs = [(case["input"], case["output"]) for case in cases]
    kinds = {str(case.get("testtype", "stdin")) for case in cases}
    if kinds != {"functional"}:
        if "functional" in kinds:
            raise BadInput("some tests are of a function and some of standard input")
        return stdin_tests(pairs)
    name = metadata.get("func_name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str):
        raise BadInput("the tests are of a function, and metadata has no func_name")
    return called_tests(name, pairs)


def _decoded(value: Any) -> Any:
    """Metadata, decoded where it is JSON text, as in most of these files; None for invalid JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _code_parts(
    row: RowFields, statement: Field, tests: tuple[str, CodeTests | None], used: tuple[str, ...]
) -> ProblemParts:
    """Parts graded by ``code``. ``tests`` are their field's name and value, None for invalid ones."""
    problem_id, metadata = named(row, ("id", "task_id", "question_id"), used)
    return ProblemParts(
        statement,
        gold=None if tests[1] is None else Field(*tests),
        grader=Field("grader", "code"),
        problem_id=problem_id,
        metadata=metadata,
    )


HUMANEVAL = Shape("HumanEval", _is_humaneval, _humaneval_parts)

MBPP = Shape("MBPP", _is_mbpp, _mbpp_parts)

LIVECODEBENCH = Shape("LiveCodeBench", _is_livecodebench, _livecodebench_parts)

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""Most bytes that base64 text may decompress to: the tests of one problem."""

_TEXT = frozenset(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"))

_FRAME = frozenset(("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"))


def packed_text(packed: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text of base64(zlib(pickle(text))). Raises ValueError with a one-line reason."""
    try:
        data = base64.b64decode(packed, validate=True)
    except ValueError as fault:
        raise ValueError("is neither JSON nor base64") from fault
    unpacker = zlib.decompressobj()
    try:
        pickled = unpacker.decompress(data, max_bytes)
    except zlib.error as fault:
        raise ValueError(f"is base64 of something that is not zlib data: {fault}") from fault
    if len(pickled) >= max_bytes and not unpacker.eof:
        raise ValueError(f"decompresses to more than {max_bytes // 1024**2} MiB")
    if not unpacker.eof:
        raise ValueError("is zlib data that is cut short")
    return pickled_text(pickled)


def pickled_text(pickled: bytes) -> str:
    """The text of a pickle of one text, in any protocol; the pickle is not executed.

    Raises ValueError with a one-line reason.
    """
    found: list[str] = []
    end = 0
    try:
        for opcode, argument, position in pickletools.genops(pickled):
            end = 1 + (position or 0)
            if opcode.name in _TEXT and isinstance(argument, str):
                found.append(argument)
            elif opcode.name not in _FRAME:
                raise ValueError(
                    f"is a pickle of more than a text: it has the opcode {opcode.name}"
                )
            if len(found) > 1:
                raise ValueError("is a pickle of more than a text: it has a second one")
    except (ValueError, OverflowError) as fault:
        what = str(fault)
        raise ValueError(
            what if what.startswith("is a pickle") else f"is no pickle: {what}"
        ) from None
    if not found or end != len(pickled):
        raise ValueError("is no pickle of a text" if not found else "has bytes after its pickle")
    return found[0]

"""What runs inside a sandbox, looked at from outside: the call filter, and values on their way."""

from __future__ import annotations

import ast
import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.sandbox.bubblewrap import INSIDE, MODULES, OLDEST
from pacore.sandbox.inside.confinement import (
    ARCHITECTURES,
    CLONE,
    DENIED_CALLS,
    NEW_CALLS,
    PRLIMIT,
    call_filter,
)
from pacore.sandbox.inside.values import decode_value, encode_value
from tests.fixtures.nested_values import nested

ALLOW, KILL, DENY, UNKNOWN = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def run_filter(machine: str, architecture: int, number: int, argument: int = 0) -> int:
    """What the kernel would answer: an interpreter of the few instructions the filter has."""
    data = struct.pack("IIQQ", number, architecture, 0, argument)
    steps = list(struct.iter_unpack("HBBI", call_filter(machine)))
    place = value = 0
    while True:
        code, yes, no, operand = steps[place]
        place += 1
        if code == 0x20:
            (value,) = struct.unpack_from("I", data, operand)
        elif code == 0x06:
            return int(operand)
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[
                code
            ]
            place += yes if holds else no


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_exactly_the_calls_of_the_table_are_denied(machine: str) -> None:
    column, architecture = ARCHITECTURES[machine]
    denied = {numbers[column] for numbers in DENIED_CALLS.values()} - {None}
    for number in range(NEW_CALLS):
        expected = DENY if number in denied or number == CLONE[column] else ALLOW
        assert run_filter(machine, architecture, number) == expected, number


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_threads_are_allowed_and_processes_are_not(machine: str) -> None:
    column, architecture = ARCHITECTURES[machine]
    of_a_thread, of_a_fork, of_a_name_space = 0x3D0F00, 0x1200011, 0x10000000
    assert run_filter(machine, architecture, CLONE[column], of_a_thread) == ALLOW
    assert run_filter(machine, architecture, CLONE[column], of_a_fork) == DENY
    assert run_filter(machine, architecture, CLONE[column], of_a_name_space) == DENY


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_only_a_processs_own_limits_may_change(machine: str) -> None:
    column, architecture = ARCHITECTURES[machine]
    assert run_filter(machine, architecture, PRLIMIT[column], 0) == ALLOW
    assert run_filter(machine, architecture, PRLIMIT[column], 1) == DENY


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    "number", [NEW_CALLS, 435, 10_000, 0x40000000, 0x40000000 + 59, 0xFFFFFFFF]
)
def test_newer_calls_and_those_of_other_kinds_are_unknown(machine: str, number: int) -> None:
    assert run_filter(machine, ARCHITECTURES[machine][1], number) == UNKNOWN


def test_a_call_by_the_numbers_of_another_architecture_ends_the_process() -> None:
    assert run_filter("x86_64", 0x40000003, 11) == KILL


HEADERS = {
    "x86_64": Path(f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_the_kernels(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"there is no {header}")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text(), re.MULTILINE)
    numbers = {name: int(number) for name, number in found}
    column = ARCHITECTURES[machine][0]
    tabled = DENIED_CALLS | {"clone": CLONE, "prlimit64": PRLIMIT}
    assert {name: pair[column] for name, pair in tabled.items()} == {
        name: numbers.get(name) for name in tabled
    }


def nothing_lent(value: object) -> int:
    raise AssertionError(f"{value!r} is plain")


PLAIN: st.SearchStrategy[Any] = nested(
    st.none() | st.booleans() | st.integers() | st.integers().map(lambda n: n * 10**40)
    | st.floats(allow_nan=False) | st.text() | st.binary(max_size=4) | st.complex_numbers(allow_nan=False)
    | st.fractions() | st.decimals(allow_nan=False) | st.dates() | st.datetimes() | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.integers() | st.text(max_size=3), inner, max_size=3)
    | st.frozensets(st.integers(), max_size=3) | st.sets(st.text(max_size=2), max_size=3),
)  # fmt: skip


def types(value: Any) -> Iterator[type]:
    yield type(value)
    if isinstance(value, list | tuple):
        for item in value:
            yield from types(item)


@given(PLAIN)
def test_plain_values_arrive_as_they_left(value: Any) -> None:
    line = json.dumps(encode_value(value, nothing_lent))
    assert "\n" not in line
    found = decode_value(json.loads(line), nothing_lent)
    assert found == value and list(types(found)) == list(types(value))


@given(PLAIN, st.lists(st.integers(), max_size=3))
def test_what_is_not_plain_is_lent_wherever_it_stands(value: Any, numbers: list[int]) -> None:
    lent: list[object] = []

    def lend(one: object) -> int:
        lent.append(one)
        return len(lent) - 1

    own = object()
    encoded = json.loads(json.dumps(encode_value([value, own, {"k": (own, numbers)}], lend)))
    assert decode_value(encoded, lent.__getitem__) == [value, own, {"k": (own, numbers)}]
    assert lent == [own, own]


@pytest.mark.parametrize(
    "encoded",
    [
        {"lib": 1},
        {"library": ["os", "_exit", [0]]},
        {"library": ["builtins", "eval", ["1"]]},
        {"library": ["collections", "OrderedDict", []]},
        {},
        {"tuple": [], "set": []},
        {"int": "x"},
    ],
)
def test_what_no_value_is_encoded_as_is_refused(encoded: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which one says nothing
        decode_value(encoded, nothing_lent)


def test_what_runs_inside_needs_an_old_python_and_nothing_else() -> None:
    for name in MODULES:
        source = (INSIDE / name).read_text()
        ast.parse(source, name, feature_version=OLDEST)
        imported = set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source, re.MULTILINE))
        ours = {one for one in imported if one.startswith("pacore.")}
        assert ours <= {f"pacore.sandbox.inside.{Path(other).stem}" for other in MODULES}

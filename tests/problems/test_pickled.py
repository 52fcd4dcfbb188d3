"""Pickled text is read without being run: whatever else a pickle holds is refused in a line."""

from __future__ import annotations

import base64
import io
import os
import pickle
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.problems.shapes.programs import packed_text, pickled_text

MEBIBYTE = 1024 * 1024


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@given(TEXTS, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_the_text_of_a_pickle_is_what_pickling_it_began_with(text: str, protocol: int) -> None:
    pickled = pickle.dumps(text, protocol=protocol)
    assert pickled_text(pickled) == text
    assert packed_text(packed(pickled)) == text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_long_text_is_read_whole(protocol: int) -> None:
    text = '[{"input": "1 2"}]' * 50_000
    assert pickled_text(pickle.dumps(text, protocol=protocol)) == text


class Runs:
    """Pickles to a call that leaves a file behind when it is loaded."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_call_something_is_refused_and_calls_nothing(
    tmp_path: Path, protocol: int
) -> None:
    pickled = pickle.dumps(Runs(tmp_path / "ran"), protocol=protocol)
    with pytest.raises(ValueError, match="^is a pickle of more than a text: it has "):
        packed_text(packed(pickled))
    assert not (tmp_path / "ran").exists()
    pickle.load(io.BytesIO(pickled))
    assert (tmp_path / "ran").exists(), "the pickle does what it is here for"


@pytest.mark.parametrize(
    "value",
    [b"bytes", 7, 2**70, 1.5, None, True, [], ["x"], {"x": "y"}, ("x",), {"x"}, bytearray(b"x")],
)
def test_a_pickle_of_anything_but_a_text_is_refused(value: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(ValueError, match="^(is|has)") as caught:
            pickled_text(pickle.dumps(value, protocol=protocol))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pickled", "what"),
    [
        (b"", "is no pickle"),
        (b".", "is no pickle of a text"),
        (b"\x80\x04.", "is no pickle of a text"),
        (b"\x8c\x01x", "is no pickle: "),
        (b"\x8c\x01x..", "has bytes after its pickle"),
        (b"\x8c\x01x.cos\nsystem\n", "has bytes after its pickle"),
        (b"\x8c\x01x\x8c\x01y.", "it has a second one"),
        (b"cos\nsystem\n(S'id'\ntR.", "it has the opcode GLOBAL"),
        (b"\x8c\x02os\x8c\x06system\x93.", "it has a second one"),
        (b"\x8c\x01x\x93.", "it has the opcode STACK_GLOBAL"),
        (b"\x8c\x01xR.", "it has the opcode REDUCE"),
        (b"\x8c\x01xb.", "it has the opcode BUILD"),
        (b"\x8c\x01x\x81.", "it has the opcode NEWOBJ"),
        (b"(ios\nsystem\n.", "it has the opcode MARK"),
        (b"ios\nsystem\n.", "it has the opcode INST"),
        (b"\x82\x01.", "it has the opcode EXT1"),
        (b"Pid\n.", "it has the opcode PERSID"),
        (b"\x97.", "it has the opcode NEXT_BUFFER"),
        (b"h\x00.", "it has the opcode BINGET"),
        (b"\x8c\x01x0.", "it has the opcode POP"),
        (b"X\xff\xff\xff\xffx.", "is no pickle: "),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "is no pickle: "),
        (b"\x8c\x02\xff\xfe.", "is no pickle: "),
        (b"I" + b"9" * 10_000 + b"\n.", "is no pickle: "),
        (b"\x8a\x08AAAAAAAA.", "it has the opcode LONG1"),
        (b"\xff", "is no pickle: "),
    ],
)
def test_hostile_bytes_are_refused_in_a_line(pickled: bytes, what: str) -> None:
    with pytest.raises(ValueError, match="^(is|has)") as caught:
        packed_text(packed(pickled))
    assert what in str(caught.value) and "\n" not in str(caught.value)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=60) | st.binary(max_size=20).map(lambda tail: b"\x8c\x01x\x94" + tail))
def test_any_bytes_are_a_text_or_refused_in_a_line(data: bytes) -> None:
    try:
        assert isinstance(pickled_text(data), str)
    except ValueError as fault:
        assert "\n" not in str(fault) and len(str(fault)) < 1000


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: packed(data)[:-1]))
def test_any_text_is_unpacked_or_refused_in_a_line(text: str) -> None:
    try:
        assert isinstance(packed_text(text), str)
    except ValueError as fault:
        assert "\n" not in str(fault) and len(str(fault)) < 1000


def test_what_decompresses_to_more_than_is_allowed_is_refused_before_it_is_held() -> None:
    bomb = base64.b64encode(zlib.compress(b"\0" * (128 * MEBIBYTE), 9)).decode()
    assert len(bomb) < MEBIBYTE
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="^decompresses to more than 8 MiB$"):
            packed_text(bomb, max_bytes=8 * MEBIBYTE)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 24 * MEBIBYTE


def test_text_of_just_the_size_allowed_is_read() -> None:
    pickled = pickle.dumps("x" * 1000)
    assert packed_text(packed(pickled), max_bytes=len(pickled)) == "x" * 1000
    with pytest.raises(ValueError, match="^decompresses to more than 0 MiB$"):
        packed_text(packed(pickled), max_bytes=len(pickled) - 1)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not base64!", "is neither JSON nor base64"),
        ("Zm9v", "is base64 of something that is not zlib data"),
        (packed(pickle.dumps("x" * 1000))[:12], "is zlib data that is cut short"),
        ("\ud800", "is neither JSON nor base64"),
    ],
)
def test_text_that_is_not_packed_says_so(text: str, what: str) -> None:
    with pytest.raises(ValueError, match="^(is|has)") as caught:
        packed_text(text)
    assert str(caught.value).startswith(what)

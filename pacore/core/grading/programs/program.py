"""Extracts the program from a conclusion, without executing anything.

A conclusion may have many blocks: a program, separate imports or helpers, another attempt, a usage
example, a test, an output, code in another language. Each is analysed with Python's parser. The last
block that the tests can run is the program, together with the blocks that define names it needs.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from pacore.core.grading.programs.blocks import Block, Fenced, chunks, html_blocks, indented_blocks
from pacore.core.grading.programs.pieces import (
    Piece,
    is_body,
    is_sentence,
    kind_of_chunk,
    parsed,
    read_block,
)

_TAIL_CHARACTERS = 1_000_000
"""Characters of a conclusion's end that are searched for a program."""

MOST_BLOCKS = 64
"""Number of blocks that are analysed: the last ones."""

MOST_PROSE_CHARACTERS = 100_000
"""Characters of the end of a text without fences that are searched for code."""

MOST_PARAGRAPHS = 12
"""Most paragraphs of prose that may follow the body of a function outside of blocks."""


class Wanted(NamedTuple):
    """What the tests of a problem run: functions by name, or without names a main program.

    ``may_continue``: the body of a function is accepted too, since the prompt has its signature.
    """

    names: frozenset[str] = frozenset()
    may_continue: bool = False


def extract_program(
    conclusion: str, wanted: Wanted | None = None, *, is_cut: bool = False
) -> str | None:
    """Find the Python program in a conclusion; None where it has none. Never raises.

    ``wanted`` is None where it is unknown what the tests run. ``is_cut``: the conclusion was truncated;
    then a block that is open at its end, or bare code that reaches it, is no program.

    - Of the blocks of the most wanted kind (`_ranks`) the last one is used. Blocks labelled as Python,
      or without a label, precede those with another label, and bare code.
    - Names that it needs and does not define are taken from other blocks, the nearest first.
    - Where no block is of any kind, the last block labelled as Python is used, or else without a label:
      running it shows its error.
    """
    blocks = _blocks(conclusion[-_TAIL_CHARACTERS:], is_cut)
    pieces = [piece for order, block in enumerate(blocks) if (piece := read_block(block, order))]
    for rank in _ranks(wanted):
        for labels in (("python", "plain"), ("python", "plain", "other"), None):
            stage = [one for one in pieces if labels is None or one.block.label in labels]
            core = next((one for one in reversed(stage) if rank(one, stage)), None)
            if core is not None:
                return _completed(core, stage)
    for label in ("python", "plain"):
        for block in reversed(blocks):
            if block.label == label and block.text.strip():
                return block.text
    return None


Rank = Callable[[Piece, Sequence[Piece]], bool]
"""Whether a piece, given all pieces, is a program of a certain kind."""


def _ranks(wanted: Wanted | None) -> Iterator[Rank]:
    """Kinds of programs, the most wanted first."""
    names = wanted.names if wanted else frozenset()
    if names:
        yield lambda one, _: names <= one.callables
        yield lambda one, _: bool(names & one.callables)
        if wanted and wanted.may_continue:
            yield lambda one, _: one.is_body
    else:
        yield lambda one, all_: one.is_main and not _missing(one, all_)
        yield lambda one, all_: one.acts and not one.is_test and _is_main(_with_needed(one, all_))
    if names or wanted is None:
        yield lambda one, _: bool(one.functions) and not one.is_test
    yield lambda one, all_: one.acts and one.prints and not one.is_test and not _missing(one, all_)
    yield lambda one, _: bool(one.functions) and not one.is_test
    yield lambda one, _: one.acts and not one.is_test and one.block.label != "bare"
    if wanted is None:
        yield lambda one, _: one.is_body
    yield lambda one, _: one.block.label in ("python", "plain") and bool(one.defines)


def _missing(piece: Piece, pieces: Sequence[Piece]) -> frozenset[str]:
    """Names that a piece needs and another one defines."""
    others = {name for one in pieces if one is not piece for name in one.defines}
    return (piece.needs & others) - _BUILTIN


_BUILTIN = frozenset(dir(builtins))


def _is_main(pieces: Sequence[Piece]) -> bool:
    return any(one.reads for one in pieces) and any(one.prints for one in pieces)


def _with_needed(core: Piece, pieces: Sequence[Piece]) -> list[Piece]:
    """A piece and the others that define names it needs, in order; nearest ones before it first."""
    chosen = [core]
    before = [one for one in reversed(pieces) if one.order < core.order]
    others = [*before, *(one for one in pieces if one.order > core.order)]
    missing = set(_missing(core, pieces))
    while missing:
        name = missing.pop()
        if any(name in one.defines for one in chosen):
            continue
        found = next((one for one in others if name in one.defines), None)
        if found is not None:
            chosen.append(found)
            missing |= _missing(found, pieces)
    return sorted(chosen, key=lambda one: one.order)


def _completed(core: Piece, pieces: Sequence[Piece]) -> str:
    """The program of a piece, preceded by the pieces that define names it needs.

    Of a piece that prints or tests only the statements that define needed names are used.
    """
    chosen = _with_needed(core, pieces)
    if len(chosen) == 1:
        return core.text
    needed = {name for one in chosen for name in one.needs}
    parts = [
        one.statements(needed) if one.prints or one.is_test else one.text
        for one in chosen
        if one is not core
    ]
    program = "\n\n".join([*parts, core.text])
    return core.text if parsed(program) is None else program


def _blocks(text: str, is_cut: bool) -> list[Block]:
    """All blocks that may be code, in order, without a truncated one."""
    parts = Fenced(text).found
    found: list[Block] = []
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        for block in [part] if isinstance(part, Block) else _outside(part, len(parts) == 1):
            if block.text.strip() and not (is_cut and is_last and block.is_open):
                found.append(block)
    return [one for block in found[-MOST_BLOCKS:] for one in _without_prose(block)]


def _outside(text: str, is_all: bool) -> Iterator[Block]:
    """Blocks in a text between fences; ``is_all``: the whole conclusion has no fence."""
    for block in html_blocks(text):
        is_several = "\n" in block.text.strip()
        yield block if is_several else block._replace(label="bare")
    text = text[-MOST_PROSE_CHARACTERS:]
    runs = list(_runs(chunks(text)))
    if is_all and len(runs) == 1 and runs[0].text.strip() == text.strip():
        yield runs[0]._replace(label="plain")
        return
    yield from runs
    yield from indented_blocks(text)
    if is_all and (body := _leading_body(text)):
        yield Block(body, "bare", is_open=len(body) == len(text))


def _without_prose(block: Block) -> list[Block]:
    """A block, and the pieces of code in it between lines of unambiguous prose."""
    if block.label not in ("python", "plain") or len(block.text) > MOST_PROSE_CHARACTERS:
        return [block]
    if parsed(block.text) is not None:
        return [block]
    cut = list(chunks(block.text))
    if any(kind_of_chunk(one) == "prose" and not is_sentence(one) for one in cut):
        return [block]
    return [block, *(run._replace(label=block.label) for run in _runs(cut))]


def _runs(cut: Iterable[str]) -> Iterator[Block]:
    """Code between chunks of prose; a run that reaches the end of the text is open."""
    run: list[str] = []
    count = 0
    for chunk in cut:
        kind = kind_of_chunk(chunk)
        if kind == "code":
            run.append(chunk)
            count = len(run)
        elif kind == "either":
            run.append(chunk)
        else:
            if count:
                yield Block("\n".join(run[:count]), "bare")
            run, count = [], 0
    if count:
        yield Block("\n".join(run[:count]), "bare", is_open=True)


def _leading_body(text: str) -> str | None:
    """The body of a function at the beginning of a text, which prose may follow after a blank line."""
    paragraphs = text.split("\n\n")
    for count in range(len(paragraphs), max(len(paragraphs) - MOST_PARAGRAPHS, 0), -1):
        body = "\n\n".join(paragraphs[:count])
        if is_body(body):
            return body
    return None

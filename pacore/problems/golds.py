"""Detects doubtful gold answers: marks without an answer, placeholders, and rows unlike most. Pure.

With a wrong gold answer every right answer scores as wrong, without any error. Marks without an answer
(`is_empty_mark`) are refused when the row is read; other doubtful gold answers are reported before
anything is generated.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import NamedTuple

from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.extraction.boxes import choice_letter, find_boxes
from pacore.core.grading.rules import plain_key
from pacore.core.grading.spec import parse_spec
from pacore.core.problem import Problem
from pacore.text import excerpt

_MOST_LISTED = 5

_GOLD_CHARACTERS = 24

LONGEST_MARK = 100

GOLD_MARK = "####"

FAR_LONGER = 10
"""A gold answer is far longer than the others if its length is more than this multiple of the median,
and more than `_LONG_CHARACTERS`."""

_LONG_CHARACTERS = 60

MOST_UNLIKE = 0.2
"""Gold answers far longer than the others are reported only up to this fraction of the set."""

_EMPTY = re.compile(
    r"\\(?:boxed|fbox|text|mathrm|mbox|textbf|mathbf)\s*\{\s*\}|\$\s*\$|\\\[\s*\\\]|\\\(\s*\\\)"
    r"|<(?P<tag>answer|final_answer|solution)>\s*</(?P=tag)>|#{2,}|\*\*|__"
)
"""Markup for an answer, without content."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]|&(?:nbsp|zwnj|#160|#8203);")

_ANNOUNCED = re.compile(
    r"(?:so\s+|thus,?\s+|therefore,?\s+|hence,?\s+)?(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|ans\b|solution)\s*"
    r"(?P<end>is\s*[:：]?|[:：])?\s*",  # noqa: RUF001
    re.IGNORECASE,
)

_PLACEHOLDERS = frozenset(
    (
        "-", "--", "---", "\u2013", "\u2014",
        "?", "??", "???", "…", "..", "...", "_", "__", "___", "na", "n/a",
        "n.a.", "nan", "nil", "none", "null", "todo", "tbd", "tba", "fixme", "xxx", "unknown",
        "undefined", "missing", "pending", "placeholder", "notfound", "not found", "not available",
        "not given", "not provided", "no answer", "no solution provided", "answer", "proof", "empty",
        "see solution", "see above", "see below", "<answer>", "[answer]", "error", "#n/a", "#ref!",
        "#value!", "#name?", "#div/0!", "(empty)", "(none)", "<null>", "<na>", "<nan>", "nat",
    )
)  # fmt: skip
"""Placeholders that people and tools write for a missing answer. Each could be an answer, so none is
refused."""

_ANNOUNCING = (":", "：", "=")  # noqa: RUF001 - the second is a full-width colon

_NOTHING = re.compile(
    r"(?:\\(?:boxed|fbox|text|textbf|mathrm|mathbf|mbox|q?quad|[dt]?frac|sqrt|left|right|displaystyle)"
    r"(?![A-Za-z])|<[A-Za-z/][^<>]{0,30}>|&[a-z]{2,8};|[\s!-/:-@\[-`{-~\u2013\u2014\u2026])++"
)
"""Layout and ASCII punctuation, without a letter, a digit or a symbol of mathematics."""

_TEXT = parse_spec("text")

_OPTION = re.compile(r"(?:^|[\n(\s])\(?(?P<letter>[A-J])(?:[).:]|\s?\))\s?(?=\S)")

FEWEST_OPTIONS = 2


@dataclass(frozen=True)
class ReadGold:
    """A problem as it was read: its shape, and its place (file and line)."""

    problem: Problem
    shape: str
    place: str

    @cached_property
    def grader(self) -> str:
        """The spec of the grader that the problem names or that is chosen for it."""
        return choose_grader(self.problem)

    def named(self) -> str:
        """The problem's id, with its place where the id was made from its content."""
        problem_id = self.problem.problem_id
        is_made = problem_id == f"p-{self.problem.content_digest[:12]}"
        return f"{problem_id} in {self.place}" if is_made else problem_id

    def with_gold(self) -> str:
        """The text of `named`, and the beginning of the gold answer."""
        gold = self.problem.gold
        return (
            self.named() if gold is None else f"{self.named()}: {excerpt(gold, _GOLD_CHARACTERS)}"
        )


def marked_gold(text: str) -> str | None:
    """The text after the last ``####`` if it is one line at the end, as in GSM8K; else None."""
    before, mark, gold = text.rstrip().rpartition(GOLD_MARK)
    before, gold = before.rstrip("#"), gold.strip()
    is_apart = not before or before[-1].isspace()
    return gold if mark and is_apart and "\n" not in gold else None


def is_empty_mark(gold: str) -> bool:
    r"""Whether a gold answer is only a mark for one: ``####``, ``\boxed{}``, ``The answer is``.

    ``Answer`` alone may be an answer; with markup (``**Answer**``) or followed by a colon it is not.
    """
    if len(gold) > LONGEST_MARK:
        return False
    left, before = _INVISIBLE.sub("", gold).strip(), None
    while left != before:
        before, left = left, _EMPTY.sub("", left).strip()
    if not left:
        return True
    announced = _ANNOUNCED.fullmatch(left)
    return announced is not None and (announced["end"] is not None or left != gold.strip())


def gold_cautions(rows: Sequence[ReadGold]) -> Iterator[str]:
    """Warnings about gold answers that the user should check before a run, one line for each kind."""
    stated = [row for row in rows if row.problem.gold is not None]
    short = [row for row in stated if _is_short_kind(row.grader)]
    doubtful = {row.problem.problem_id for row in short if _is_placeholder(row)}
    # In some sets, such as of brackets to be closed, most answers are punctuation.
    if 2 * len(doubtful) > len(short):
        doubtful = set()
    yield from _unlike_most(
        [row for row in stated if row.problem.problem_id not in doubtful and not _has_grader(row)]
    )
    for what, found in (
        (
            "gold answer that may be a placeholder",
            [row for row in short if row.problem.problem_id in doubtful],
        ),
        ("gold letter that none of the problem's options has", filter(_is_outside, short)),
        _far_longer(short),
    ):
        yield from _line(what, found)
    without = [row for row in rows if row.problem.gold is None]
    if len(without) < len(rows):
        yield from _line("no gold answer, and so no score, where the others have one", without)
    yield from _conflicts(rows)


def _is_short_kind(grader: str) -> bool:
    return parse_spec(grader).name not in ("code", "judge")


def _line(what: str, found: Iterable[ReadGold]) -> Iterator[str]:
    if names := [row.with_gold() for row in found]:
        yield f"{what}: {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """The number of names, and the first `_MOST_LISTED` of them."""
    more = ", …" if len(names) > _MOST_LISTED else ""
    return f"{len(names):,} ({', '.join(names[:_MOST_LISTED])}{more})"


_SAME_GOLD = {
    "MATH": "plain",
    "NeMo-Skills": "plain",
    "contest": "plain",
    "titled columns": "plain",
}
"""Shapes whose gold answers are read like those of plain rows."""

_OF_ONE_GRADER = frozenset(
    ("multiple choice", "GPQA", "HumanEval", "MBPP", "LiveCodeBench", "MultiChallenge")
)


def _has_grader(row: ReadGold) -> bool:
    """Whether the row itself names its grader, which may then differ from that of other rows."""
    return row.problem.grader is not None and row.shape not in _OF_ONE_GRADER


class _Kind(NamedTuple):
    """How a row is read, with its shape and its kind of gold answer, and by which grader graded."""

    shape: str
    grader: str

    def differences(self, most: _Kind) -> tuple[str, str]:
        """Descriptions of this kind and of that of most rows, without what they have in common."""
        if self.shape == most.shape:
            return f"graded by {self.grader}", f"graded by {most.grader}"
        if self.grader == most.grader:
            return f"read as {self.shape}", f"read as {most.shape}"
        mine, other = (f"read as {one.shape} and graded by {one.grader}" for one in (self, most))
        return mine, other


WORDS_A_SENTENCE = 3
"""An answer graded as mathematics with at least this many words counts as a sentence."""

_GOLD_WORD = re.compile(r"(?<![\\\w])[^\W\d_]{2,}")


def _unlike_most(rows: Sequence[ReadGold]) -> Iterator[str]:
    """Warnings about rows of another kind than most: with another shape, gold answer or grader."""
    by_kind: defaultdict[_Kind, list[ReadGold]] = defaultdict(list)
    for row in rows:
        by_kind[_kind(row)].append(row)
    if len(by_kind) < 2:
        return
    most = max(by_kind, key=lambda kind: len(by_kind[kind]))
    number = len(by_kind[most])
    if 2 * number <= len(rows):
        return
    for kind, found in by_kind.items():
        if kind != most and 2 * len(found) <= number:
            mine, other = kind.differences(most)
            yield from _line(f"{mine}, where {number:,} of {len(rows):,} are {other}", found)


def _kind(row: ReadGold) -> _Kind:
    shape = _SAME_GOLD.get(row.shape, row.shape)
    graded = parse_spec(row.grader).name
    gold = row.problem.gold or ""
    if shape == "plain" and find_boxes(gold).last is not None:
        shape = f"{shape} with a boxed answer"
    elif (
        shape == "plain" and graded == "math" and len(_GOLD_WORD.findall(gold)) >= WORDS_A_SENTENCE
    ):
        shape = f"{shape} with an answer in words"
    return _Kind(shape, graded)


def _is_placeholder(row: ReadGold) -> bool:
    """Whether a gold answer is a placeholder, layout only, or ends with a colon or equals sign."""
    gold = gold_answer(row.problem) or ""
    key = plain_key(_TEXT, gold).text
    return key in _PLACEHOLDERS or key.endswith(_ANNOUNCING) or _is_layout(gold)


def _is_layout(gold: str) -> bool:
    return len(gold) <= LONGEST_MARK and _NOTHING.fullmatch(gold) is not None


def _is_outside(row: ReadGold) -> bool:
    """Whether the statement lists options with letters from A on, without the gold letter."""
    if parse_spec(row.grader).name != "choice":
        return False
    letter = choice_letter(gold_answer(row.problem) or "")
    found = {match["letter"] for match in _OPTION.finditer(row.problem.statement)}
    options = set()
    for option in "ABCDEFGHIJ":
        if option not in found:
            break
        options.add(option)
    return letter is not None and len(options) >= FEWEST_OPTIONS and letter not in options


def _far_longer(rows: Sequence[ReadGold]) -> tuple[str, list[ReadGold]]:
    lengths = [len(row.problem.gold or "") for row in rows]
    middle = int(median(lengths)) if lengths else 0
    bound = max(_LONG_CHARACTERS, FAR_LONGER * middle)
    found = [row for row, length in zip(rows, lengths, strict=True) if length > bound]
    what = f"gold answer far longer than the others (median {middle:,} characters)"
    if any(_is_solution(row) for row in found):
        what += ", perhaps a whole solution"
    return what, found if len(found) <= MOST_UNLIKE * len(rows) or len(found) == 1 < len(
        rows
    ) else []


def _is_solution(row: ReadGold) -> bool:
    gold = row.problem.gold or ""
    boxes = find_boxes(gold)
    is_boxed = boxes.last is not None or boxes.open_at is not None
    return is_boxed or "\n" in gold.strip() or ". " in gold


def _gold_key(row: ReadGold) -> str:
    return plain_key(parse_spec(row.grader), gold_answer(row.problem) or "").text


def _conflicts(rows: Sequence[ReadGold]) -> Iterator[str]:
    """A warning about questions that occur more than once, up to case and spaces, with different
    gold answers.
    """
    by_question: defaultdict[tuple[tuple[str, str], ...], list[ReadGold]] = defaultdict(list)
    for row in rows:
        if row.problem.gold is not None:
            question = (
                (turn.role, " ".join(turn.content.casefold().split())) for turn in row.problem.turns
            )
            by_question[tuple(question)].append(row)
    groups = []
    for group in by_question.values():
        if len(group) > 1 and len(set(map(_gold_key, group))) > 1:
            groups.append(" ≠ ".join(row.with_gold() for row in group))
    if groups:
        yield f"asked more than once, with different gold answers: {listed(groups)}"

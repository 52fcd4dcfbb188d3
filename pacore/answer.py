"""Answers: what a conclusion finally says, cut out of the text around it.

Model text is hostile until shown otherwise: every scan here takes time linear in what it reads, and
reads no more than the last `TAIL_CHARACTERS` of a conclusion.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pacore.grader import parse_spec
from pacore.program import Wanted, extract_program
from pacore.trajectory import FinishReason

ExtractionMethod = Literal["boxed", "choice", "final_line", "program", "conclusion"]
AnswerStatus = Literal["answered", "no_answer", "failed"]

TAIL_CHARACTERS = 1_000_000
"""How much of a conclusion's end is read for an answer, in characters."""

CHOICE_CHARACTERS = 1_000
"""A box longer than this names no choice."""


class Extracted(NamedTuple):
    """An answer as the model wrote it (of a choice the upper-case letter), and how it was found."""

    text: str
    method: ExtractionMethod


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of the table ``answers``; exactly one per problem and replicate.

    ``answer`` and ``method`` are None unless ``status`` is ``answered``. ``reason`` says, for a
    person, why there is no answer; ``failed_round`` is the 1-based round a failed pass ended in.
    """

    problem_id: str
    replicate: int
    answer: str | None
    method: str | None
    trajectory_id: str | None
    finish_reason: FinishReason | None
    status: AnswerStatus
    reason: str | None
    failed_round: int | None


class Boxes(NamedTuple):
    """``last``: what the last balanced box holds, None without one; ``begun``: any was opened."""

    last: str | None
    begun: bool


# An escaped brace groups nothing, so a backslash takes the next character with it. Two backslashes
# before the name are a common slip of models that escape for JSON.
_BOX_TOKEN = re.compile(r"\\\\?(?:boxed|fbox)\s*+\{|\\.|[{}]", re.DOTALL)


def find_boxes(text: str) -> Boxes:
    r"""Find the last balanced ``\boxed{…}`` or ``\fbox{…}``: the one that starts last.

    Of nested boxes that is the inner one. A box that is never closed does not count, and neither
    hides nor replaces a balanced one before it.
    """
    open_boxes: list[tuple[int, int]] = []
    best: tuple[int, int] | None = None
    begun = False
    depth = 0
    for token in _BOX_TOKEN.finditer(text):
        found = token[0]
        if found == "}":
            depth = max(depth - 1, 0)
            if open_boxes and open_boxes[-1][0] == depth:
                start = open_boxes.pop()[1]
                if best is None or start > best[0]:
                    best = (start, token.start())
        elif found == "{":
            depth += 1
        elif found.endswith("{") and found != "\\{":
            open_boxes.append((depth, token.end()))
            begun = True
            depth += 1
    return Boxes(None if best is None else text[best[0] : best[1]].strip(), begun)


def extract(
    conclusion: str, spec: str, wanted: Wanted | None = None, *, is_cut: bool = False
) -> Extracted | None:
    r"""Find the answer a conclusion gives to the grader of ``spec``, None where it gives none.

    Never raises but for a text that is no spec. ``wanted`` says of a program what its tests run, and
    ``is_cut`` that the conclusion was cut at its limit.

    - The last balanced box (`find_boxes`) is the answer. An empty one says there is none: nothing
      else in the text stands in for it.
    - Where every box was left open the text was cut inside its answer: no answer.
    - ``choice``: the letter of the box, else the last letter that is stated ("answer is (B)"), set
      in bold ("**B**"), begins the final line ("B. Paris") or stands in parentheses ("(B)"), tried
      in that order. A box without a letter is the answer only if there is no letter elsewhere.
    - ``code``: the program that `extract_program` finds, whatever boxes there are.
    - The others without a box: the final line that is more than markup, after "answer is" or
      "answer:", and for ``math`` and ``numeric`` after the last "="; without stars, dollars, final
      period.
    """
    grader = parse_spec(spec).name
    if grader == "code":
        program = extract_program(conclusion, wanted, is_cut=is_cut)
        return None if program is None else Extracted(program, "program")
    tail = conclusion[-TAIL_CHARACTERS:]
    boxes = find_boxes(tail)
    if boxes.begun:
        if boxes.last is None or not boxes.last.strip("$ \t\r\n"):
            return None
        if grader != "choice":
            return Extracted(boxes.last, "boxed")
        if letter := choice_letter(boxes.last):
            return Extracted(letter, "boxed")
    if grader != "choice":
        line = _final_statement(tail, grader)
        return Extracted(line, "final_line") if line else None
    if letter := _letter_in_text(tail):
        return Extracted(letter, "choice")
    return None if boxes.last is None else Extracted(boxes.last, "boxed")


_CHOICE_MARKUP = re.compile(r"\\[A-Za-z]+|\\.|[{}$*~\s]+")
_CHOICE = re.compile(
    r"(?i:(?:option|choice|answer)\b[ :]*)?"
    r"(?:\( ?(?P<parenthesised>[A-Ja-j]) ?\)|(?P<bare>[A-J])(?= ?[.):]|$)|(?P<small>[a-j])[.)]?$)"
)
_SECOND_CHOICE = re.compile(r" ?(?:,|;|&|/|and\b|or\b) ?\(?[A-Ja-j](?![A-Za-z0-9])")


def choice_letter(text: str) -> str | None:
    r"""The upper-case letter A to J that ``text`` names: ``C``, ``(c)``, ``\textbf{(C)}\ 12``.

    None where there is no letter or more than one ("A and C").
    """
    if len(text) > CHOICE_CHARACTERS:
        return None
    bare = _CHOICE_MARKUP.sub(" ", unicodedata.normalize("NFKC", text)).strip()
    found = _CHOICE.match(bare)
    if found is None or _SECOND_CHOICE.match(bare, found.end()):
        return None
    letter: str = found["parenthesised"] or found["bare"] or found["small"]
    return letter.upper()


# "A" and "I" are English words: bare, they need an end of phrase after them to count as choices.
_STATED_CHOICE = re.compile(
    r"(?i:\b(?:answer|(?:correct|right|best) (?:option|choice))\b"
    r"(?:(?:\s\w{1,20}){0,6}?\s(?:is|would be)\b)?[\s*:]{0,6}(?:(?:option|choice)\s)?)[\s*$]{0,6}"
    r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?"
    r"(?:\(([A-J])\)|([B-HJ])(?![\w'\u2019-])"
    r"|([AI])(?=[ *$}]{0,4}(?:[.,;:!?)\n]|\Z)| (?:because|since|as)\b))"
)
_BOLD_CHOICE = re.compile(r"\*\*\(?([A-J])(?:[.):]{0,2}\*\*|[.):]{1,2}[^*\n]{0,200}\*\*)")
_LINE_CHOICE = re.compile(r"([A-J])(?:[.):]|$)|\(([A-J])\)(?!.*\([A-J]\))")
_PARENTHESISED_CHOICE = re.compile(r"\(([A-J])\)")


def _letter_in_text(text: str) -> str | None:
    """The choice a text without a telling box names; of several alike, the last."""
    found = (
        _last_match(_STATED_CHOICE, text)
        or _last_match(_BOLD_CHOICE, text)
        or _LINE_CHOICE.match(_final_line(text))
        or _last_match(_PARENTHESISED_CHOICE, text)
    )
    return next(letter for letter in found.groups() if letter) if found else None


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = deque(pattern.finditer(text), maxlen=1)
    return found[0] if found else None


_LEADING_MARKUP = " \t\u00a0\u200b*$`"
_TRAILING_MARKUP = _LEADING_MARKUP + ".\\"


def _without_markup(line: str) -> str:
    """A line without the stars, dollars, backticks and math delimiters around its content."""
    line = line.lstrip(_LEADING_MARKUP).rstrip(_TRAILING_MARKUP)
    for opening in ("\\[", "\\("):
        line = line.removeprefix(opening)
    for closing in ("\\]", "\\)"):
        line = line.removesuffix(closing)
    return line.lstrip(_LEADING_MARKUP).rstrip(_TRAILING_MARKUP)


def _final_line(text: str) -> str:
    """The last line that is more than markup, without its markup; empty where there is none."""
    lines = reversed(text.splitlines())
    return next((bare for line in lines if (bare := _without_markup(line))), "")


_ANSWER_IS = re.compile(r"(?i:\banswers?[\s*]{0,4}(?:(?:is|are)\b|:))[\s*:]{0,8}")


def _final_statement(text: str, grader: str) -> str:
    line = _final_line(text)
    stated = _last_match(_ANSWER_IS, line)
    if stated is not None:
        line = line[stated.end() :]
    if grader in ("math", "numeric"):
        before, sign, after = line.rpartition("=")
        if sign and not before.endswith(("<", ">", "!")):
            line = after
    return _without_markup(line)

"""What the scripted engine is told and what it says: options, chance, thinking, answers. Pure."""

from __future__ import annotations

import hashlib
import operator
import random
import re
import struct
from collections import Counter
from functools import cache
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pacore.core.config.fields import SCRIPTED_MODEL
from pacore.core.trajectory import FinishReason, Request
from pacore.core.validation import first_fault
from pacore.errors import BadInput

SCRIPT_VERSION = "1"
"""To be counted on with every change of what a request is answered with."""

RIGHT_PROBABILITY = 0.6


OWN_ANSWER_PROBABILITY = 0.1

BLOCK_WORDS = 8192


HEAD_WORDS = 4


_VOCABULARY = """
    add again angle assume base bound cancel carry case cell check circle clearly collect column
    compare consider count cycle cut digit distinct divide drop each edge equal even every exact
    expand factor finally find first fold graph grid group guess hence however if indeed
    instead keep large left likely limit line list maybe multiply negative next node note
    number odd one order other pair part path perhaps point positive power prime product prove
    ratio read recall reduce remainder right root row same set share shift side sign simplify since
    small so square step subtract sum suppose swap table take term test then therefore third three
    thus trace tree triangle try two unit value vertex wait when where whole write zero
"""


VOCABULARY = tuple(_VOCABULARY.split())

OPENINGS = (
    "Every step checks out.",
    "Both ways of counting agree.",
    "That settles the last case.",
    "Nothing above contradicts this.",
)

OPERATIONS = {
    "+": operator.add,
    "plus": operator.add,
    "-": operator.sub,
    "\u2212": operator.sub,  # the minus sign of typeset problems
    "minus": operator.sub,
    "*": operator.mul,
    "\u00d7": operator.mul,  # and their multiplication sign
    "times": operator.mul,
    "\\times": operator.mul,
    "\\cdot": operator.mul,
}


_OPERATOR = "|".join(re.escape(sign) for sign in OPERATIONS)


_ARITHMETIC = re.compile(
    rf"(?<![\w.])(-?\d{{1,40}})\s*({_OPERATOR})\s*(-?\d{{1,40}})"
    rf"(?!\w|\.\d|\s*(?:{_OPERATOR}|[/^]))"
)


_GOES_ON = (*OPERATIONS, "/", "^")


_JUDGED = re.compile(r"^VERDICT: WRONG\Z", re.MULTILINE)


_FENCE = re.compile(r"^====== [0-9a-f]{16} ======$", re.MULTILINE)


VOTE_PROBABILITY = 0.9


_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")


_ORIGINAL, _REFERENCES = "Original Problem:\n", "\nReference Responses:\n"


_FIRST_REFERENCE = re.compile(r"^Reference 1:$", re.MULTILINE)


class Script(BaseModel):
    """Options of a scripted model.

    Every reply thinks for ``words`` words, and ``window`` counts words too, as they are the tokens.
    Guesses lie in [0, ``answers``). ``truncate`` (cut while thinking), ``empty`` (no conclusion)
    and ``fault`` (no generation) are probabilities. ``latency_ms`` is the mean wait, between half
    and one and a half of which every request takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    words: int = Field(40, ge=0, le=10_000_000)
    answers: int = Field(10, ge=1)
    truncate: float = Field(0.0, ge=0.0, le=1.0)
    empty: float = Field(0.0, ge=0.0, le=1.0)
    fault: float = Field(0.0, ge=0.0, le=1.0)
    latency_ms: float = Field(0.0, ge=0.0)
    window: int | None = Field(None, ge=1)


def read_script(model: str) -> Script:
    """Read a model name such as ``scripted?words=200``. Raises BadInput naming what is wrong."""
    name, _, query = model.partition("?")
    if name != SCRIPTED_MODEL:
        raise BadInput(f"model {model!r}: engine scripted has no model but {SCRIPTED_MODEL!r}")
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        option, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"model {model!r}: options are written like words=200&empty=0.1")
        if option not in Script.model_fields:
            known = ", ".join(Script.model_fields)
            raise BadInput(f"model {model!r}: unknown option {option!r}; there are {known}")
        if option in options:
            raise BadInput(f"model {model!r}: option {option!r} is given twice")
        options[option] = value
    try:
        return Script.model_validate(options)
    except ValidationError as invalid:
        raise BadInput(f"model {model!r}: {first_fault(invalid)}") from None


class Draws(NamedTuple):
    """Eight independent uniform 64-bit numbers: all the chance there is in one request."""

    fault: int
    truncate: int
    empty: int
    wait: int
    own: int
    right: int
    guess: int
    text: int

    @staticmethod
    def of(request: Request) -> Draws:
        hashed = hashlib.blake2b(str(request.seed).encode())
        for turn in request.turns:
            hashed.update(f"\0{turn.role}\0{turn.content}".encode("utf-8", "surrogatepass"))
        return Draws(*struct.unpack(">8Q", hashed.digest()))


def share(draw: int) -> float:
    """A draw as a number in [0, 1)."""
    return (draw >> 11) / 2**53


class Reply(NamedTuple):
    """What the engine makes of a request; ``words`` is None where it said nothing."""

    finish_reason: FinishReason
    content: str | None = None
    reasoning: str | None = None
    words: int | None = None
    error: str | None = None

    def cut(self, limit: int) -> Reply:
        """The reply as far as the first ``limit`` words, the reasoning's before the content's."""
        if self.words is None or self.words <= limit:
            return self
        thought = (self.reasoning or "").split()
        said = (self.content or "").split()[: max(0, limit - len(thought))]
        reasoning = self.reasoning if said else " ".join(thought[:limit])
        return Reply("length", " ".join(said) or None, reasoning or None, limit)


def reply_to(statement: str, script: Script, draws: Draws) -> Reply:
    """Answer the last turn of a prompt that fits; thinking that is cut has no content."""
    reasoning = thinking(script.words, draws.text) or None
    # A reply of no words has still cost the token that ended it.
    words = max(1, script.words)
    if share(draws.truncate) < script.truncate:
        return Reply("length", None, reasoning, words)
    if share(draws.empty) < script.empty:
        return Reply("stop", "", reasoning, words)
    if _JUDGED.search(statement):
        content = vote_on(statement, draws)
    else:
        answer = answer_to(statement, script.answers, draws)
        opening = OPENINGS[draws.text % len(OPENINGS)]
        content = f"{opening} The answer is \\boxed{{{answer}}}."
    return Reply("stop", content, reasoning, script.words + len(content.split()))


@cache
def _block() -> tuple[str, list[int]]:
    """`BLOCK_WORDS` words, twice over, and where each of them starts."""
    words = random.Random(SCRIPTED_MODEL).choices(VOCABULARY, k=BLOCK_WORDS) * 2
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return " ".join(words) + " ", starts


def thinking(words: int, draw: int) -> str:
    """Exactly ``words`` words: a few of the draw's own, then a stretch of one long block.

    A stretch is a slice, so that long texts cost next to nothing.
    """
    head = []
    for _ in range(min(words, HEAD_WORDS)):
        draw, picked = divmod(draw, len(VOCABULARY))
        head.append(VOCABULARY[picked])
    block, starts = _block()
    start = draw % BLOCK_WORDS
    rounds, rest = divmod(words - len(head), BLOCK_WORDS)
    whole = block[starts[start] : starts[start + BLOCK_WORDS]] * rounds
    text = whole + block[starts[start] : starts[start + rest]]
    return " ".join((*head, text)).strip()


def answer_to(statement: str, answers: int, draws: Draws) -> str:
    """What the engine boxes when ``statement`` is the last turn."""
    asked, heading, given = statement.partition(_REFERENCES)
    if heading and _FIRST_REFERENCE.search(given):
        votes: Counter[str] = Counter(answer.strip() for answer in _BOXED.findall(given))
        if votes and share(draws.own) >= OWN_ANSWER_PROBABILITY:
            most = max(votes.values())
            return min((answer for answer in votes if votes[answer] == most), key=_size)
        asked = asked.partition(_ORIGINAL)[2]
    return own_answer(asked, answers, draws)


def vote_on(statement: str, draws: Draws) -> str:
    """A vote on what stands between fences: right `VOTE_PROBABILITY` of the time."""
    shown = [part.strip() for part in _FENCE.split(statement)[1::2]]
    answer = (_BOXED.findall(shown[-1]) or shown[-1:])[-1].strip()
    right = shown[-2] if len(shown) > 2 else str(arithmetic(shown[0]))
    is_right = (answer == right) == (share(draws.right) < VOTE_PROBABILITY)
    return f"VERDICT: {'RIGHT' if is_right else 'WRONG'}"


def own_answer(statement: str, answers: int, draws: Draws) -> str:
    """The true result of an arithmetic question with `RIGHT_PROBABILITY`, else a guess."""
    guess = draws.guess % answers
    result = arithmetic(statement)
    if result is None:
        return str(guess)
    if share(draws.right) < RIGHT_PROBABILITY:
        return str(result)
    if guess == result:
        guess = (guess + 1) % answers if answers > 1 else guess + 1
    return str(guess)


def arithmetic(statement: str) -> int | None:
    """The result of the one operation on whole numbers a statement asks for, None without one."""
    for found in _ARITHMETIC.finditer(statement):
        if not statement[: found.start()].rstrip().endswith(_GOES_ON):
            left, sign, right = found.groups()
            return int(OPERATIONS[sign](int(left), int(right)))
    return None


def _size(answer: str) -> tuple[bool, int, str]:
    """Sorts whole numbers by value, before everything else by text."""
    is_number = re.fullmatch(r"-?[0-9]{1,40}", answer) is not None
    return (not is_number, int(answer) if is_number else 0, answer)

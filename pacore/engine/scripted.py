"""Engine ``scripted``: simulates a reasoning model deterministically, for tests and documentation.

Its model name is its configuration, so that a run with other options has other trajectories:

    scripted?words=200&truncate=0.1&empty=0.05&fault=0.02&latency_ms=5&answers=10&window=4096

Its reasoning is random words, its conclusion a boxed number. The answer to ``a + b``, ``a - b`` or
``a * b`` of integers is correct with probability 0.6; the answer to any other problem is a random
number. The answer to a synthesis prompt is the majority of its references with probability 0.9, and
otherwise an answer of its own. A vote as a judge is correct with probability 0.9. The output is a
function of a request's seed and turns. Its tokens are words.

With ``lure`` or ``digit_error`` answers to such an operation have planted errors instead, and the
conclusion is ``The answer is \\boxed{579}.`` and nothing else: the first digit is wrong with probability
``lure``, and then the same wrong digit in every reply to the problem; each of the other digits is wrong
with probability ``digit_error``, independently.
"""

from __future__ import annotations

import asyncio
import hashlib
import operator
import random
import re
import struct
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from pacore.core.config.fields import SCRIPTED_MODEL
from pacore.core.engine import NO_HINT, Cause, EngineFault, EngineInfo, Hint, Meter, Refusal
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import FinishReason, Generation, Request
from pacore.core.validation import validated
from pacore.engine.scripted_programs import asked_quantity, program_reply, scripted_program
from pacore.errors import BadInput
from pacore.text import did_you_mean

SCRIPT_VERSION = "1"
"""Increment it with every change of the output for a request."""

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

_OPERATIONS = {
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

_OPERATOR = "|".join(re.escape(sign) for sign in _OPERATIONS)

_ARITHMETIC = re.compile(
    rf"(?<![\w.])(-?\d{{1,40}})\s*({_OPERATOR})\s*(-?\d{{1,40}})"
    rf"(?!\w|\.\d|\s*(?:{_OPERATOR}|[/^]))"
)

_CONTINUATIONS = (*_OPERATIONS, "/", "^")

_JUDGED = re.compile(r"^VERDICT: (?:WRONG|INVALID)\Z", re.MULTILINE)

_FENCE = re.compile(r"^====== [0-9a-f]{16} ======$", re.MULTILINE)

VOTE_PROBABILITY = 0.9

_BOXED = re.compile(r"\\boxed\{([^{}]+)\}")

_ORIGINAL, _REFERENCES = "Original Problem:\n", "\nReference Responses:\n"

_FIRST_REFERENCE = re.compile(r"^Reference 1:$", re.MULTILINE)


class Script(BaseModel):
    """Options of a scripted model.

    The reasoning of every reply has ``words`` words; ``window`` is in words too, which are the
    tokens. Random answers lie in [0, ``answers``). ``truncate`` (cut within the reasoning),
    ``empty`` (no conclusion), ``fault`` (no generation), ``lure`` and ``digit_error`` (wrong digits)
    and ``programs`` (right programs) are probabilities. ``latency_ms`` is the mean latency of a
    request, uniform between 0.5 and 1.5 times this value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    words: int = Field(40, ge=0, le=10_000_000)
    answers: int = Field(10, ge=1)
    truncate: float = Field(0.0, ge=0.0, le=1.0)
    empty: float = Field(0.0, ge=0.0, le=1.0)
    fault: float = Field(0.0, ge=0.0, le=1.0)
    latency_ms: float = Field(0.0, ge=0.0)
    lure: float = Field(0.0, ge=0.0, le=1.0)
    digit_error: float = Field(0.0, ge=0.0, le=1.0)
    programs: float | None = Field(None, ge=0.0, le=1.0)
    window: int | None = Field(None, ge=1)

    @property
    def has_planted_errors(self) -> bool:
        return self.lure > 0 or self.digit_error > 0


def read_script(model: str) -> Script:
    """Read a model name such as ``scripted?words=200``. Raises BadInput naming the error."""
    name, _, query = model.partition("?")
    if name != SCRIPTED_MODEL:
        raise BadInput(f"model {model!r}: the only model of engine scripted is {SCRIPTED_MODEL!r}")
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        option, equals, value = part.partition("=")
        if not equals:
            raise BadInput(f"model {model!r}: options are written like words=200&empty=0.1")
        if option not in Script.model_fields:
            known = ", ".join(Script.model_fields)
            near = did_you_mean(option, Script.model_fields)
            raise BadInput(f"model {model!r}: unknown option {option!r}{near}; there are {known}")
        if option in options:
            raise BadInput(f"model {model!r}: option {option!r} is given twice")
        options[option] = value
    return validated(Script, options, f"model {model!r}: ")


class RandomNumbers(NamedTuple):
    """Eight independent uniform 64-bit numbers: all the randomness of one request."""

    fault: int
    truncate: int
    empty: int
    wait: int
    own: int
    right: int
    guess: int
    text: int

    @staticmethod
    def of(request: Request) -> RandomNumbers:
        hashed = hashlib.blake2b(str(request.seed).encode())
        for turn in request.turns:
            hashed.update(f"\0{turn.role}\0{turn.content}".encode("utf-8", "surrogatepass"))
        return RandomNumbers(*struct.unpack(">8Q", hashed.digest()))


def uniform(draw: int) -> float:
    """A 64-bit random number as a number in [0, 1)."""
    return (draw >> 11) / 2**53


class ScriptedReply(NamedTuple):
    """The engine's reply to a request; ``words`` (its tokens) is None where it has no text."""

    finish_reason: FinishReason
    content: str | None = None
    reasoning: str | None = None
    words: int | None = None
    error: str | None = None

    def cut(self, limit: int) -> ScriptedReply:
        """The first ``limit`` words of the reply, where the reasoning precedes the content."""
        if self.words is None or self.words <= limit:
            return self
        reasoning_words = (self.reasoning or "").split()
        content_words = (self.content or "").split()[: max(0, limit - len(reasoning_words))]
        reasoning = self.reasoning if content_words else " ".join(reasoning_words[:limit])
        return ScriptedReply("length", " ".join(content_words) or None, reasoning or None, limit)


def reply_to(statement: str, script: Script, draws: RandomNumbers) -> ScriptedReply:
    """The reply to ``statement``, the last turn of a prompt that fits the window; a reply that is
    cut within its reasoning has no content.
    """
    reasoning = random_words(script.words, draws.text) or None
    # An empty reply still costs the token that ends it.
    words = max(1, script.words)
    if uniform(draws.truncate) < script.truncate:
        return ScriptedReply("length", None, reasoning, words)
    if uniform(draws.empty) < script.empty:
        return ScriptedReply("stop", "", reasoning, words)
    if _JUDGED.search(statement):
        content = vote_on(statement, draws)
    elif (program := program_in_reply(statement, script, draws)) is not None:
        content = program_reply(program)
    else:
        answer = answer_to(statement, script, draws)
        opening = "" if script.has_planted_errors else f"{OPENINGS[draws.text % len(OPENINGS)]} "
        content = f"{opening}The answer is \\boxed{{{answer}}}."
    return ScriptedReply("stop", content, reasoning, script.words + len(content.split()))


@cache
def _block() -> tuple[str, list[int]]:
    """`BLOCK_WORDS` words, repeated once, and the index at which each word starts."""
    words = random.Random(SCRIPTED_MODEL).choices(VOCABULARY, k=BLOCK_WORDS) * 2
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return " ".join(words) + " ", starts


def random_words(words: int, draw: int) -> str:
    """Exactly ``words`` words: a few chosen by the draw, then a slice of one fixed block.

    Slicing makes long texts cheap.
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


def program_in_reply(statement: str, script: Script, draws: RandomNumbers) -> str | None:
    """The program when ``statement`` is the last turn; None where there is none to give."""
    if script.programs is None:
        return None
    problem, heading, references = statement.partition(_REFERENCES)
    if heading:
        problem = problem.partition(_ORIGINAL)[2]
    is_own = uniform(draws.own) < OWN_ANSWER_PROBABILITY
    chances = uniform(draws.right), draws.guess
    return scripted_program(problem, references, script.programs, is_own, chances)


def answer_to(statement: str, script: Script, draws: RandomNumbers) -> str:
    """The boxed answer when ``statement`` is the last turn."""
    problem, heading, references = statement.partition(_REFERENCES)
    if heading and _FIRST_REFERENCE.search(references):
        votes: Counter[str] = Counter(answer.strip() for answer in _BOXED.findall(references))
        if votes and uniform(draws.own) >= OWN_ANSWER_PROBABILITY:
            most = max(votes.values())
            return min((answer for answer in votes if votes[answer] == most), key=_size)
        problem = problem.partition(_ORIGINAL)[2]
    return own_answer(problem, script, draws)


def vote_on(statement: str, draws: RandomNumbers) -> str:
    """A judge's vote on the parts between fences, correct with `VOTE_PROBABILITY`.

    A problem is valid that the engine understands.
    """
    parts = [part.strip() for part in _FENCE.split(statement)[1::2]]
    is_correct = uniform(draws.right) < VOTE_PROBABILITY
    if statement.endswith("INVALID"):
        is_valid = arithmetic(parts[0]) is not None or asked_quantity(parts[0]) is not None
        return f"VERDICT: {'VALID' if is_valid == is_correct else 'INVALID'}"
    answer = (_BOXED.findall(parts[-1]) or parts[-1:])[-1].strip()
    right = parts[-2] if len(parts) > 2 else str(arithmetic(parts[0]))
    is_right = (answer == right) == is_correct
    return f"VERDICT: {'RIGHT' if is_right else 'WRONG'}"


def own_answer(statement: str, script: Script, draws: RandomNumbers) -> str:
    """The correct result of an arithmetic problem with `RIGHT_PROBABILITY`, else a random number; where
    errors are planted, the result with those.
    """
    answers = script.answers
    guess = draws.guess % answers
    result = arithmetic(statement)
    if result is None:
        return str(guess)
    if script.has_planted_errors:
        return with_planted_errors(statement, result, script, draws)
    if uniform(draws.right) < RIGHT_PROBABILITY:
        return str(result)
    if guess == result:
        guess = (guess + 1) % answers if answers > 1 else guess + 1
    return str(guess)


def with_planted_errors(statement: str, result: int, script: Script, draws: RandomNumbers) -> str:
    """A result with wrong digits, as many as it has."""
    sign, digits = "-" * (result < 0), str(abs(result))
    shared = random.Random(f"lure {statement.strip()}").choice(_others(digits[0], "123456789"))
    draw = random.Random(draws.right)
    first = shared if draw.random() < script.lure else digits[0]
    rest = [
        draw.choice(_others(digit, "0123456789")) if draw.random() < script.digit_error else digit
        for digit in digits[1:]
    ]
    return sign + first + "".join(rest)


def _others(digit: str, digits: str) -> str:
    return digits.replace(digit, "")


def arithmetic(statement: str) -> int | None:
    """The result of the first operation on two integers in a statement; None without one."""
    for found in _ARITHMETIC.finditer(statement):
        if not statement[: found.start()].rstrip().endswith(_CONTINUATIONS):
            left, sign, right = found.groups()
            return int(_OPERATIONS[sign](int(left), int(right)))
    return None


def _size(answer: str) -> tuple[bool, int, str]:
    """A sort key: integers by value, then other answers as text."""
    is_number = re.fullmatch(r"-?[0-9]{1,40}", answer) is not None
    return (not is_number, int(answer) if is_number else 0, answer)


class ScriptedEngine:
    """Samples trajectories without a server, key or model; see the head of this module.

    ``model`` is ``scripted`` with the options of `Script`. Raises `pacore.errors.BadInput` for any
    other.
    """

    def __init__(self, model: str, *, slots: int = 64) -> None:
        self._model = model
        self._script = read_script(model)
        self._slots = slots

    @property
    def slots(self) -> int:
        return self._slots

    async def describe(self) -> EngineInfo:
        window_tokens = self._script.window
        return EngineInfo("scripted", SCRIPT_VERSION, window_tokens, (self._model,))

    async def generate(
        self,
        request: Request,
        hint: Hint = NO_HINT,
    ) -> Generation:
        draws = RandomNumbers.of(request)
        wait_seconds = self._script.latency_ms / 1000 * (0.5 + uniform(draws.wait))
        began = time.monotonic()
        try:
            await asyncio.sleep(wait_seconds)
        except asyncio.CancelledError:
            if hint.meter is not None:
                # A script of no latency takes no time: what has begun has cost the whole of it.
                elapsed = time.monotonic() - began
                share = elapsed / wait_seconds if wait_seconds > 0 else 1.0
                self._count(request, draws, hint.meter, share)
            raise
        if uniform(draws.fault) < self._script.fault:
            detail = f"scripted fault of seed {request.seed}"
            raise EngineFault("engine_error", detail, transient=False)
        prompt_tokens = count_words(request.turns)
        reply = self._reply(request, draws, prompt_tokens)
        return Generation(
            reply.finish_reason,
            reply.content,
            reply.reasoning,
            prompt_tokens=prompt_tokens,
            completion_tokens=reply.words,
            usage_source="server",
            error=reply.error,
            engine="scripted",
            engine_version=SCRIPT_VERSION,
            served_model=self._model,
            latency_seconds=wait_seconds,
        )

    def _count(self, request: Request, draws: RandomNumbers, meter: Meter, share: float) -> None:
        """Note what a request has cost that is aborted after a share in [0, 1] of its time."""
        words = self._reply(request, draws, count_words(request.turns)).words or 0
        stream = meter.begin()
        stream.tokens, stream.source = int(words * min(1.0, share)), "server"

    def _reply(self, request: Request, draws: RandomNumbers, prompt_tokens: int) -> ScriptedReply:
        window, limit = self._script.window, request.recipe.max_tokens
        if window is not None:
            room = window - prompt_tokens
            if room < 1:
                error = f"a prompt of {prompt_tokens} words leaves no room in a window of {window}"
                return ScriptedReply("context_overflow", error=error)
            limit = room if limit is None else min(limit, room)
        reply = reply_to(request.turns[-1].content, self._script, draws)
        return reply if limit is None else reply.cut(limit)

    async def count_prompt_tokens(
        self,
        recipe: Recipe,  # noqa: ARG002 - words are counted, whatever the recipe
        turns: Sequence[Turn],
    ) -> int | None:
        return count_words(turns)

    async def cause_of(
        self,
        request: Request,  # noqa: ARG002 - this engine refuses nothing
        refusal: Refusal,
    ) -> Cause:
        return Cause(refusal.message)

    async def generated_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        """Do nothing: the engine has no resources."""


def count_words(turns: Sequence[Turn]) -> int:
    """The number of words of a prompt, at least 1."""
    return max(1, sum(len(turn.content.split()) for turn in turns))

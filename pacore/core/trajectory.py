"""Trajectories: the request to an engine, the generation it returns, and the row it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from pacore.core.identity import trajectory_key
from pacore.core.problem import Turn
from pacore.core.recipe import Recipe

FinishReason = Literal[
    "stop",
    "length",
    "context_overflow",
    "rejected",
    "engine_error",
    "timeout",
    "cancelled",
    "aborted",
]


FINISH_REASONS: tuple[FinishReason, ...] = get_args(FinishReason)

FAILED: frozenset[FinishReason] = frozenset(("rejected", "engine_error", "timeout", "cancelled"))
"""Finish reasons of failures of the engine, which show nothing of the model: tried again later."""

UNFINISHED: frozenset[FinishReason] = FAILED | {"aborted"}
"""Finish reasons of trajectories that the model did not end. One that was ``aborted`` did not fail: its set
was decided without it (`pacore.core.stopping`), and it is never tried again.
"""

NOT_JOURNALLED: frozenset[FinishReason] = frozenset(("context_overflow", "cancelled", "aborted"))
"""Finish reasons that depend on a server's window, on a budget or on a rule that stops early, and are
therefore not in the journal.
"""

UsageSource = Literal["server", "tokenizer", "stream", "unknown"]
"""Who counted the tokens: ``stream`` are the pieces of a stream, of a trajectory that was aborted."""


ConclusionStatus = Literal["present", "empty", "truncated", "none"]


@dataclass(frozen=True, slots=True)
class Request:
    """One trajectory to sample: identity, seed and the turns as they are sent."""

    recipe: Recipe
    turns: tuple[Turn, ...]
    prompt_digest: str
    draw: int
    attempt: int
    trajectory_id: str
    seed: int

    @staticmethod
    def of(
        recipe: Recipe, turns: tuple[Turn, ...], prompt_digest: str, draw: int, attempt: int = 0
    ) -> Request:
        key = trajectory_key(recipe.digest, prompt_digest, draw, attempt)
        return Request(recipe, turns, prompt_digest, draw, attempt, key.trajectory_id, key.seed)


@dataclass(frozen=True, slots=True)
class Generation:
    """What an engine returned for a request, exactly as the server sent it, or why there is nothing.

    ``content`` and ``reasoning`` are the server's own fields, None where it sent null. Token counts
    are None where nothing counted them; ``usage_source`` names what did, and ``cached_prompt_tokens`` is
    how many of the prompt's the server had in its cache. ``error`` is one line for a person and carries
    no secret. ``tries`` counts requests sent, ``wasted_tokens`` what failed tries cost.

    ``finish_said`` is the server's own finish reason where it means neither that the model ended nor that a
    limit cut it. ``unread`` is JSON of what the server sent besides the text (tool calls, parts
    of an unknown kind). ``wire`` names the form the request was sent in, where a server takes another than
    ours (`pacore.engine.chat.wire_format`). A tombstone may hold the text of a response that broke off.
    """

    finish_reason: FinishReason
    content: str | None = None
    reasoning: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    usage_source: UsageSource = "unknown"
    error: str | None = None
    engine: str = ""
    engine_version: str | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    tries: int = 1
    wasted_tokens: int = 0
    latency_seconds: float = 0.0
    cached_prompt_tokens: int | None = None
    finish_said: str | None = None
    unread: str | None = None
    wire: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the model finished; otherwise this is a tombstone."""
        return self.finish_reason not in UNFINISHED

    @property
    def content_characters(self) -> int:
        """Length of the content as the server sent it, thinking inside it included."""
        return len(self.content or "")


class Thought(NamedTuple):
    """A generation split into reasoning and conclusion.

    ``thinking_closed`` is None where nothing shows that the model thinks at all.
    """

    reasoning: str | None
    conclusion: str | None
    thinking_closed: bool | None
    status: ConclusionStatus

    @property
    def reasoning_characters(self) -> int:
        return len(self.reasoning or "")


OPEN, CLOSE = "<think>", "</think>"


def normalise(generation: Generation) -> Thought:
    """Split what a server sent into reasoning and conclusion, whichever way it sent it.

    Reasoning comes as a field of its own, as ``<think>…</think>`` inside the content, or with only
    the closing tag. Thinking that was cut has no conclusion, and neither has a cut text in which
    nothing shows that the thinking was over. Surrounding white space is no part of a conclusion.
    """
    if not generation.is_finished or generation.finish_reason == "context_overflow":
        return Thought(generation.reasoning, None, None, "none")
    content = generation.content
    reasoning = generation.reasoning or None
    closed: bool | None = None if reasoning is None else bool(content and content.strip())
    if content is not None and CLOSE in content:
        inside, _, content = content.rpartition(CLOSE)
        inside = inside.removeprefix("\n").lstrip().removeprefix(OPEN)
        reasoning = inside if reasoning is None else reasoning + inside
        closed = True
    elif content is not None and content.lstrip().startswith(OPEN):
        inside = content.lstrip().removeprefix(OPEN)
        reasoning = inside if reasoning is None else reasoning + inside
        content, closed = None, False
    truncated = generation.finish_reason == "length"
    if truncated and closed is not True:
        return Thought(reasoning, None, closed, "truncated")
    conclusion = (content or "").strip()
    if not conclusion:
        return Thought(reasoning, None, closed, "truncated" if truncated else "empty")
    return Thought(reasoning, conclusion, closed, "present")


def written_text(generation: Generation, thought: Thought) -> str:
    """All a trajectory without a conclusion wrote, its thinking without the tags around it."""
    return thought.reasoning or generation.content or ""


@dataclass(frozen=True, slots=True)
class Slot:
    """A trajectory's place in a run: the ``slot``-th of K_r, 0-based; ``replicate`` is 0-based."""

    round: int
    problem_id: str
    replicate: int
    slot: int
    draw: int


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One row of the table ``trajectories``: a slot, what filled it, and its conclusion.

    ``prompt_messages`` counts the messages its prompt held where some had to be left out.
    ``prompt_positions`` are the 1-based positions in M of those it held, where its slot was not to
    see all of M; else they are M's first. ``retry_of`` names the trajectory that `pacore retry`
    replaced by this one, and ``max_tokens`` the limit it was given in place of the recipe's.
    """

    place: Slot
    trajectory_id: str
    attempt: int
    seed: int
    prompt_digest: str
    generation: Generation
    thought: Thought
    reused: bool = False
    text_run_id: str = ""
    generated_at: datetime | None = None
    prompt_messages: int | None = None
    max_tokens: int | None = None
    retry_of: str | None = None
    prompt_positions: tuple[int, ...] | None = None

    @staticmethod
    def of(place: Slot, request: Request, generation: Generation) -> Trajectory:
        return Trajectory(
            place=place,
            trajectory_id=request.trajectory_id,
            attempt=request.attempt,
            seed=request.seed,
            prompt_digest=request.prompt_digest,
            generation=generation,
            thought=normalise(generation),
        )

    @property
    def sort_key(self) -> tuple[str, int, int, int]:
        return (self.place.problem_id, self.place.replicate, self.place.slot, self.attempt)

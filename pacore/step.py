"""The steps of a plan: what a round does, how many slots it has, and what its messages are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pacore.program import Wanted

StepKind = Literal["sample", "condense", "distill"]
STEP_KINDS: tuple[StepKind, ...] = get_args(StepKind)

MessagePolicy = Literal["conclusion", "verbatim", "reference", "answer", "summary", "workspace"]

_MARKS: dict[StepKind, str] = {"sample": "", "condense": "c", "distill": "d"}


@dataclass(frozen=True, slots=True)
class Compaction:
    """C of one round: what a trajectory is handed on as, and what of one that was cut.

    A truncated trajectory is dropped, unless ``tail_tokens`` keeps its last tokens, or
    ``bound_tokens`` says that it was cut where its step bounds it: then its text as far as it goes
    is the message. ``grader`` is the spec that says how an answer is read, for the policy ``answer``
    alone, and ``wanted`` what the tests of a program run.
    """

    policy: MessagePolicy
    tail_tokens: int | None = None
    bound_tokens: int | None = None
    grader: str | None = None
    wanted: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one round of a plan does.

    ``sample`` attempts the problem, with the messages before it as references; ``condense`` writes
    a summary of each message before it, seeing that one alone; ``distill`` writes one workspace out
    of all of them. ``width`` is how many slots the round has (condensing: at most, as each message
    takes one) and ``need`` its quorum. ``max_tokens`` bounds a generation, None leaves the recipe's
    limit.
    """

    kind: StepKind
    width: int
    need: int
    compaction: Compaction
    max_tokens: int | None = None

    @property
    def label(self) -> str:
        """The width as a trajectory configuration shows it: ``4``, ``4c`` or ``1d``."""
        return f"{self.width}{_MARKS[self.kind]}"

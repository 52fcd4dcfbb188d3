"""Arms of a sweep: the strategies it compares, each a line of text.

    single                       one trajectory a problem, measured on the whole pool
    sc:16                        self-consistency: the majority of 16 of the pool
    bon:16                       best of 16 of the pool, by a judge's opinion of each
    low, medium, high            the paper's trajectory configurations
    32,4                         any other, the final 1 implied
    sequential:5                 five trajectories, one after the other: [1, 1, 1, 1]
    verbatim                     low, without compaction
    low+subset=2+compaction=answer    any of these with policies of the plan changed
    wide=16,4                    any of these under another name

All arms of a sweep draw round 1 from one pool of trajectories, so that none is generated twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pacore.errors import BadInput
from pacore.plan import PRESETS

ArmKind = Literal["pool", "majority", "best", "run"]

DEFAULT_ARMS = ("single", "sc:4", "low", "sequential:5", "verbatim")
"""What a sweep compares unless it is told: the baselines and ablations of the paper at one width."""

NAMED = {"verbatim": "low+compaction=verbatim"}
_LABEL = re.compile(r"(?P<label>[a-z][a-z0-9-]{0,30})=(?P<rest>.+)")
_COUNTED = re.compile(r"(?P<kind>sc|bon|sequential):(?P<count>[1-9][0-9]{0,3})")
_WIDTHS = re.compile(r"[0-9]+(?:,[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Arm:
    """One strategy: ``name`` labels it, ``text`` is how it was written.

    Of kind ``run`` it is a run of its own, with ``widths`` and ``policies`` (fields of the plan, as
    text); of the others it is measured on the pool, ``majority`` and ``best`` over ``count`` of it.
    """

    name: str
    text: str
    kind: ArmKind
    widths: tuple[int, ...] = ()
    count: int = 1
    policies: Mapping[str, str] = field(default_factory=dict)

    @property
    def first_width(self) -> int:
        """How many draws of the bare problem one pass takes."""
        return (*self.widths, 1)[0] if self.kind == "run" else self.count

    @property
    def trajectories(self) -> int:
        """Trajectories on the path of one answer, as far as the widths alone say."""
        return sum(self.widths) + 1 if self.kind == "run" else self.count


def parse_arm(text: str) -> Arm:
    """Read one arm. Raises BadInput naming it, in one line."""
    named = _LABEL.fullmatch(text)
    label, rest = (named["label"], named["rest"]) if named else (None, text)
    base, *changes = NAMED.get(rest, rest).split("+")
    policies = dict(_policy(text, change) for change in changes)
    if len(policies) < len(changes):
        raise BadInput(f"--arm {text!r}: says one policy twice")
    name = label or _name_of(rest)
    counted = _COUNTED.fullmatch(base)
    if counted and counted["kind"] == "sequential":
        widths = (1,) * (int(counted["count"]) - 1)
        return Arm(name, text, "run", widths, policies=policies)
    if counted or base == "single":
        if policies:
            raise BadInput(f"--arm {text!r}: is measured on the pool, which has no policies")
        if not counted:
            return Arm(name, text, "pool")
        kind: ArmKind = "majority" if counted["kind"] == "sc" else "best"
        return Arm(name, text, kind, count=int(counted["count"]))
    if base in PRESETS:
        return Arm(name, text, "run", PRESETS[base], policies=policies)
    if _WIDTHS.fullmatch(base):
        widths = tuple(int(part) for part in base.split(","))
        if 0 in widths:
            raise BadInput(f"--arm {text!r}: every round needs at least one trajectory")
        return Arm(name, text, "run", widths, policies=policies)
    known = "single, sc:K, bon:K, sequential:N, verbatim, low, medium, high, or widths such as 32,4"
    raise BadInput(f"--arm {text!r}: {base!r} is none of {known}")


def parse_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Read the arms of a sweep. Raises BadInput for a name that two of them have."""
    arms = tuple(parse_arm(text) for text in texts)
    seen: dict[str, Arm] = {}
    for arm in arms:
        if (other := seen.setdefault(arm.name, arm)) is not arm:
            raise BadInput(
                f"--arm {arm.text!r}: has the name {arm.name!r} of {other.text!r}; give it another "
                f"with --arm NAME={arm.text}"
            )
    return arms


def pool_draws(arms: Sequence[Arm], replicates: int, pool: int | None) -> int:
    """How many draws of each bare problem the pool of a sweep has.

    Replicate j of an arm takes the draws from j K_1 on, so that the pool holds the first round of
    every pass of every arm; where arms themselves draw from a ``pool``, it is that one.
    """
    if pool is not None:
        return pool
    return max((arm.first_width * replicates for arm in arms), default=replicates)


def _policy(text: str, change: str) -> tuple[str, str]:
    name, sign, value = change.partition("=")
    if not sign or not name.isidentifier() or not value:
        raise BadInput(f"--arm {text!r}: {change!r} is no policy such as compaction=verbatim")
    return name, value


def _name_of(text: str) -> str:
    """A name of letters, digits and dashes, as run ids and file names may have it."""
    spelled = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return f"k-{spelled}" if spelled[:1].isdigit() else spelled

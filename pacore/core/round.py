"""The prompts of one round: who sees which messages of M, the turns that makes, and the draws taken.

Under the paper's policy all slots of a round see all of M, in one prompt (eq. 1). A condensing round
shows each slot one message, and a subset shows each slot its own few, so a round has as many prompts
as there are different views of M.

The context window budget: what fits is known, by token count, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pacore.core.message import compaction_of
from pacore.core.plan import Compaction, Plan, Step
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import prompt_digest, template_of, turns_for, with_system
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request, Slot

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class View:
    """What some slots of a round see of M: its messages at 1-based ``positions``, None for all."""

    slots: tuple[int, ...]
    positions: tuple[int, ...] | None = None

    def of(self, messages: Sequence[T]) -> Sequence[T]:
        """The messages seen, in M's order."""
        if self.positions is None:
            return messages
        return [messages[position - 1] for position in self.positions]


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """One prompt of a round for one problem and replicate, with the slots drawn from it.

    ``draws`` are those of the view's slots. ``prompt_messages`` is how many messages of its view it
    shows where the window does not hold all, else None. ``max_tokens`` bounds its generations where
    the round does, and ``compaction`` is what they are handed on as.
    """

    round: int
    problem_id: str
    replicate: int
    turns: tuple[Turn, ...]
    digest: str
    view: View
    draws: tuple[int, ...]
    compaction: Compaction
    prompt_messages: int | None = None
    max_tokens: int | None = None

    def slots(self) -> list[Slot]:
        return [
            Slot(self.round, self.problem_id, self.replicate, slot, draw)
            for slot, draw in zip(self.view.slots, self.draws, strict=True)
        ]

    @property
    def positions(self) -> tuple[int, ...] | None:
        """Positions of the messages it shows, None where its view is all of M."""
        positions = self.view.positions
        return None if positions is None else positions[: self.prompt_messages]

    def shown(self, messages: Sequence[T]) -> Sequence[T]:
        """Of all messages of M those that stand in it, the first reference first."""
        return self.view.of(messages)[: self.prompt_messages]

    def request(self, recipe: Recipe, draw: int, attempt: int = 0) -> Request:
        return Request.of(recipe, self.turns, self.digest, draw, attempt)


Fits = Callable[[RoundPrompt], bool]


def anything_fits(prompt: RoundPrompt) -> bool:  # noqa: ARG001 - stands for a window that is asked
    return True


@dataclass(frozen=True)
class Round:
    """One round of one problem, at ``place`` = (round, replicate), over the messages M before it."""

    plan: Plan
    recipe: Recipe
    problem: Problem
    place: tuple[int, int]
    messages: Sequence[str] = ()

    @property
    def step(self) -> Step:
        return self.plan.step(self.place[0])

    def prompts(self, fits: Fits = anything_fits) -> list[RoundPrompt]:
        """The prompts of the round (eq. 1), in the order of their first slots.

        Under ``fewer_messages`` each shows as many of its view's first messages as ``fits`` allows.
        Where not even one does it shows all of them, and its trajectories become rows with
        ``context_overflow``, as they do under the other policy.
        """
        return [self._fitted(view, fits) for view in self.views()]

    def possible(self) -> Iterator[RoundPrompt]:
        """Every prompt about which `prompts` may ask whether it fits."""
        for view in self.views():
            yield self.prompt(view)
            yield from (self.prompt(view, shown) for shown in self._cuts(view))

    def views(self) -> list[View]:
        """Who sees what of M, in the order of the first slots."""
        if self.step.kind == "condense":
            return [View((slot,), (slot + 1,)) for slot in range(len(self.messages))]
        everybody = View(tuple(range(self.step.width)))
        if self.step.kind == "distill" or self.plan.subset is None or not self.messages:
            return [everybody]
        whole = self.prompt(everybody)
        slots_of: dict[tuple[int, ...] | None, list[int]] = {}
        for slot, draw in enumerate(whole.draws):
            positions = self.plan.positions_seen(
                self.recipe.digest, whole.digest, draw, len(self.messages)
            )
            slots_of.setdefault(positions, []).append(slot)
        return [View(tuple(slots), positions) for positions, slots in slots_of.items()]

    def prompt(self, view: View, prompt_messages: int | None = None) -> RoundPrompt:
        """The prompt of a view, or of its first messages alone."""
        seen = view.of(self.messages)[:prompt_messages]
        asked = self.problem.turns
        turns = turns_for(asked, seen, template_of(self.step), self.plan.observation(asked))
        turns = with_system(turns, self.recipe.system)
        digest = prompt_digest(turns)
        return RoundPrompt(
            self.place[0],
            self.problem.problem_id,
            self.place[1],
            turns,
            digest,
            view,
            self._draws(view, digest),
            compaction_of(self.plan, self.place[0], self.problem),
            prompt_messages,
            self.step.max_tokens,
        )

    def _draws(self, view: View, digest: str) -> tuple[int, ...]:
        """The draws that the slots of a view take: the replicate's, each by its slot's number.

        A message to be condensed has a prompt of its own, and takes its first draw there, or where
        M says the same several times the next. So neither where it stands nor how many stand
        beside it makes another trajectory of it.
        """
        draws = self.plan.draws(self.recipe.digest, digest, *self.place)
        if self.step.kind != "condense":
            return tuple(draws[slot] for slot in view.slots)
        (text,) = view.of(self.messages)
        return (draws[0] + self.messages[: view.slots[0]].count(text),)

    def _cuts(self, view: View) -> range:
        """How many messages of a view a prompt may show where it cannot show all."""
        may_cut = self.plan.overflow == "fewer_messages"
        return range(1, len(view.of(self.messages)) if may_cut else 1)

    def _fitted(self, view: View, fits: Fits) -> RoundPrompt:
        whole, cuts = self.prompt(view), self._cuts(view)
        if not cuts or fits(whole):
            return whole
        most = most_that_fit(len(cuts), lambda shown: fits(self.prompt(view, shown)))
        return whole if most is None else self.prompt(view, most)


def by_slot(prompts: Iterable[RoundPrompt]) -> list[tuple[RoundPrompt, Slot]]:
    """The slots of a round in their order, each with its prompt."""
    pairs = ((prompt, slot) for prompt in prompts for slot in prompt.slots())
    return sorted(pairs, key=lambda pair: pair[1].slot)


TEMPLATE_TOKENS_A_TURN = 64
"""Generous bound on what a chat template adds around one turn, in tokens."""

MIN_COMPLETION_TOKENS = 1


def prompt_tokens_bound(turns: Sequence[Turn]) -> int:
    """Upper bound of a prompt's tokens: no byte-level tokenizer makes more tokens than bytes."""
    text_bytes = sum(len(turn.content.encode("utf-8")) for turn in turns)
    return text_bytes + TEMPLATE_TOKENS_A_TURN * (len(turns) + 2)


def overflow(prompt_tokens: int, max_tokens: int | None, window_tokens: int | None) -> str | None:
    """Say by how much a request would not fit, or None if it fits or the window is unknown."""
    if window_tokens is None:
        return None
    wanted = max_tokens or MIN_COMPLETION_TOKENS
    if prompt_tokens + wanted <= window_tokens:
        return None
    return (
        f"{prompt_tokens} prompt tokens and {wanted} to generate do not fit "
        f"a window of {window_tokens}"
    )


def fits_window(
    turns: Sequence[Turn],
    max_tokens: int | None,
    window_tokens: int | None,
    count_tokens: Callable[[], int | None],
) -> bool:
    """Whether a prompt and what it asks for fit; counted only where a bound does not settle it.

    What nobody can count is taken to fit: the server has the last word.
    """
    if overflow(prompt_tokens_bound(turns), max_tokens, window_tokens) is None:
        return True
    tokens = count_tokens()
    return tokens is None or overflow(tokens, max_tokens, window_tokens) is None


def most_that_fit(messages: int, fits: Callable[[int], bool]) -> int | None:
    """The largest n in 1…``messages`` for which ``fits(n)``, found by halving; None without one.

    A prompt with fewer messages is shorter, so whatever fits, every smaller number fits too.
    """
    if messages < 1 or not fits(1):
        return None
    least, most = 1, messages
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least

"""One round of one problem and replicate: its prompts, its slots, and the messages it ends in.

Under the paper's policy all slots of a round see all of M, in one prompt (eq. 1). A condensing round
shows each slot one message, and a subset shows each slot its own few, or all slots the same few, so a
round has as many prompts as there are different views of M. What fits the context window is known, by
token count, before anything is sent. The slots are tried in passes (`passes`), and what they came to
makes the next round's messages or leaves the round short (`Round.conclude`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from pacore.core.message import Message, compaction_of, message_set
from pacore.core.plan import Compaction, Plan, Step
from pacore.core.policies.select import selected
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import prompt_digest, template_of, turns_for, with_system
from pacore.core.quorum import (
    Agreed,
    Attempt,
    History,
    Retry,
    Shortfall,
    SlotOutcome,
    attempt_limit,
    attempt_recipe,
    refills_due,
    set_end,
)
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request, Slot

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class View:
    """What some slots of a round see of M: its messages at 1-based ``positions``, None for all."""

    slots: tuple[int, ...]
    positions: tuple[int, ...] | None = None

    def of(self, messages: Sequence[_T]) -> Sequence[_T]:
        """The messages seen, in M's order."""
        if self.positions is None:
            return messages
        return [messages[position - 1] for position in self.positions]


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """One prompt of a round for one problem and replicate, with the slots drawn from it.

    ``draws`` are those of the view's slots. ``prompt_messages`` is how many messages of its view it
    shows where the window does not hold all, else None. ``max_tokens`` bounds its generations where
    the round does, and ``compaction`` makes messages of them.
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

    def shown(self, messages: Sequence[_T]) -> Sequence[_T]:
        """Of all messages of M those it shows, the first reference first."""
        return self.view.of(messages)[: self.prompt_messages]

    def request(self, recipe: Recipe, draw: int, attempt: int = 0) -> Request:
        return Request.of(recipe, self.turns, self.digest, draw, attempt)


Fits = Callable[[RoundPrompt], bool]


def anything_fits(prompt: RoundPrompt) -> bool:  # noqa: ARG001 - of the type Fits
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
        """Every prompt that `prompts` may pass to ``fits``."""
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
        if self.plan.select != "own":
            return [replace(everybody, positions=self._selected(whole.digest))]
        slots_of: dict[tuple[int, ...] | None, list[int]] = {}
        for slot, draw in enumerate(whole.draws):
            positions = self.plan.positions_seen(
                self.recipe.digest, whole.digest, draw, len(self.messages)
            )
            slots_of.setdefault(positions, []).append(slot)
        return [View(tuple(slots), positions) for positions, slots in slots_of.items()]

    def _selected(self, prompt_digest: str) -> tuple[int, ...] | None:
        """Positions of the messages that the plan's scorer chooses, None where it takes all."""
        plan, count = self.plan, self.plan.subset
        if count is None or len(self.messages) <= count:
            return None
        named = f"{self.recipe.digest}\n{prompt_digest}"
        return selected(plan.select, count, self.problem, self.messages, plan.scorer, named)

    def prompt(self, view: View, prompt_messages: int | None = None) -> RoundPrompt:
        """The prompt of a view, or of its first messages alone."""
        seen = view.of(self.messages)[:prompt_messages]
        given = self.problem.turns
        turns = turns_for(given, seen, template_of(self.step), self.plan.observation(given))
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
        M has the same text several times the next. So neither its position nor the number of other
        messages makes another trajectory of it.
        """
        draws = self.plan.draws(self.recipe.digest, digest, *self.place)
        if self.step.kind != "condense":
            return tuple(draws[slot] for slot in view.slots)
        (text,) = view.of(self.messages)
        return (draws[0] + self.messages[: view.slots[0]].count(text),)

    def conclude(self, outcomes: Sequence[SlotOutcome]) -> list[Message] | Shortfall | Agreed:
        """The messages of the round (eq. 2), given what each of its slots came to, in slot order;
        or what it is short of; or the answer, where they agree and no round follows.
        """
        round_, replicate = self.place
        return conclude_round(self.plan, (round_, self.problem.problem_id, replicate), outcomes)

    def after(self, messages: Sequence[Message]) -> Round:
        """The next round of the problem, over the messages of this one."""
        number, replicate = self.place
        texts = [message.text for message in messages]
        return replace(self, place=(number + 1, replicate), messages=texts)

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


def conclude_round(
    plan: Plan, place: tuple[int, str, int], outcomes: Sequence[SlotOutcome]
) -> list[Message] | Shortfall | Agreed:
    """`Round.conclude` for a ``place`` = (round, problem id, replicate), without the problem itself."""
    end = set_end(plan, place[0], outcomes)
    if end is not None:
        return end
    candidates = [outcome.candidate for outcome in outcomes]
    policy = plan.step(place[0]).compaction.policy
    return message_set(place, candidates, plan.message_order, policy)


@dataclass(slots=True)
class OpenSlot:
    """One slot of a round while it is filled: its prompt, and the attempts so far.

    ``outcome`` is what the current attempt came to, None where that was not looked at yet.
    """

    place: Slot
    prompt: RoundPrompt
    history: History = field(default_factory=History)
    outcome: SlotOutcome | None = None

    def begin(self, recipe: Recipe, retry: Retry | None = None) -> Request:
        """The request of the next attempt, which is the slot's current one from here on.

        ``recipe`` is the run's. Given a ``retry`` the attempt replaces the current one under the
        limit the retry has, which later attempts keep.
        """
        limit, retry_of = self.prompt.max_tokens, None
        if retry is not None:
            limit, retry_of = attempt_limit(limit, retry), self.history.current.trajectory_id
        elif self.history.attempts:
            limit, retry_of = self.history.current.max_tokens, self.history.current.retry_of
        number = len(self.history.attempts)
        request = self.prompt.request(attempt_recipe(recipe, limit), self.place.draw, number)
        self.history = self.history.added(
            Attempt(request.trajectory_id, request.seed, retry_of=retry_of, max_tokens=limit)
        )
        self.outcome = None
        return request


def open_slots(prompts: Iterable[RoundPrompt]) -> list[OpenSlot]:
    """The slots of a round in their order, none of them tried yet."""
    return [OpenSlot(place, prompt) for prompt, place in by_slot(prompts)]


def outcomes_of(slots: Iterable[OpenSlot]) -> list[SlotOutcome]:
    """What each slot came to, in slot order; the outcomes of all must be known."""
    outcomes = [slot.outcome for slot in slots]
    assert None not in outcomes, "a slot without an outcome"
    return [outcome for outcome in outcomes if outcome is not None]


class Pass(NamedTuple):
    """Numbers of slots to try at the same time; with a ``retry`` that replaces what they have."""

    slots: list[int]
    retry: Retry | None = None


def passes(
    plan: Plan,
    slots: Sequence[OpenSlot],
    retries: Sequence[Retry],
    outcomes: Callable[[], Sequence[SlotOutcome]],
) -> Iterator[Pass]:
    """The slots of one set to try, pass after pass, each decided by what those before it gave.

    First every slot, then refills; then each retry in the order they were made, and its refills: so
    a later retry finds everything that was made before it in its place. Before the next pass is
    taken every slot of the last has its attempts. ``outcomes`` gives what each slot came to, in slot
    order; it is called only where a refill may be due.
    """
    round_ = slots[0].place.round
    yield Pass(list(range(len(slots))))
    yield from _refilling(plan, round_, outcomes)
    for retry in retries:
        chosen = [
            slot.place.slot
            for slot in slots
            if retry.names(slot.place, slot.history.current.trajectory_id)
        ]
        if chosen:
            yield Pass(chosen, retry)
            yield from _refilling(plan, round_, outcomes)


def _refilling(
    plan: Plan, round_: int, outcomes: Callable[[], Sequence[SlotOutcome]]
) -> Iterator[Pass]:
    while plan.refills_in(round_) and (due := refills_due(plan, round_, outcomes())):
        yield Pass(due)


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
    """Whether a prompt and its generation fit; counted only where a bound does not decide it.

    Where the tokens cannot be counted the prompt is taken to fit, and the server decides.
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

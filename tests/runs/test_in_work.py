"""Which problems a run is at: in which round and for how long, and which of them are stalled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.plan import Plan
from pacore.report.rendering.terminal import to_text
from pacore.report.status import SHOWN_IN_WORK, progress_sheet
from pacore.runs.dispatch.in_work import (
    STALLED_SECONDS,
    STALLED_TIMES,
    UNKNOWN_SECONDS,
    RoundCounts,
    SetPlace,
)
from pacore.runs.dispatch.progress import MOST_STALLED, Progress
from pacore.runs.dispatch.writers import Filled


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Night:
    """A run of four problems by K = [2, 1], under a clock of its own."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.progress = Progress.of("night", Plan(widths=(2,)), 4, self.clock)
        self.in_work = self.progress.in_work

    def send(self, place: SetPlace, *ids: str) -> None:
        self.in_work.begin(place, ids)
        self.in_work.send(place)

    def settle(self, place: SetPlace, name: str, tokens: int = 10) -> None:
        filled = Filled(name, "stop", tokens)
        self.in_work.settle(place, filled)
        self.progress.add_to(place.round, RoundCounts.of(filled))


FIRST, SECOND = SetPlace(0, 1, "p-1", 0), SetPlace(1, 2, "p-2", 0)


def test_a_problem_is_in_work_from_its_first_request_until_its_last_trajectory_is_settled() -> None:
    night = Night()
    night.in_work.begin(FIRST, ["a", "b"])
    night.clock.now += 7
    (now,) = night.in_work.now()
    assert now == (FIRST, "waiting", 0, 2, 7.0, 7.0)
    night.in_work.send(FIRST)
    night.settle(FIRST, "a")
    night.clock.now += 3
    (now,) = night.in_work.now()
    assert now == (FIRST, "generating", 1, 2, 10.0, 3.0)
    night.settle(FIRST, "b")
    assert night.in_work.now() == []


def test_a_trajectory_that_two_stages_wait_for_counts_once() -> None:
    night = Night()
    night.send(FIRST, "a", "b")
    night.send(FIRST, "b")
    (now,) = night.in_work.now()
    assert (now.settled, now.slots) == (0, 2)
    for name in "aab":
        night.settle(FIRST, name)
    assert night.in_work.now() == []


def test_what_is_settled_of_a_set_that_is_not_in_work_changes_nothing() -> None:
    night = Night()
    night.in_work.settle(FIRST, Filled("a", "stop", 1))
    night.in_work.send(FIRST)
    assert night.in_work.now() == []


def test_the_problem_that_has_been_silent_for_longest_is_first_and_those_not_sent_are_last() -> (
    None
):
    night = Night()
    waiting = SetPlace(2, 1, "p-0", 0)
    night.in_work.begin(waiting, ["w"])
    night.clock.now += 50
    night.send(FIRST, "a")
    night.clock.now += 5
    night.send(SECOND, "b")
    assert [now.place for now in night.in_work.now()] == [FIRST, SECOND, waiting]


@pytest.mark.parametrize(
    ("longest", "patience"),
    [
        (0.0, STALLED_TIMES * UNKNOWN_SECONDS),
        (1.0, STALLED_SECONDS),
        (500.0, STALLED_TIMES * 500),
    ],
)
def test_a_problem_is_stalled_after_three_times_the_longest_trajectory_and_five_minutes(
    longest: float, patience: float
) -> None:
    night = Night()
    night.in_work.took(longest)
    night.send(FIRST, "a", "b")
    night.clock.now += patience
    assert [now.stage for now in night.in_work.now()] == ["generating"]
    night.clock.now += 1
    assert [now.stage for now in night.in_work.now()] == ["stalled"]
    night.settle(FIRST, "a")
    assert [now.stage for now in night.in_work.now()] == ["generating"]


def test_a_problem_that_waits_for_a_place_is_never_stalled() -> None:
    night = Night()
    night.in_work.took(1)
    night.in_work.begin(FIRST, ["a"])
    night.clock.now += 1e6
    assert [now.stage for now in night.in_work.now()] == ["waiting"]
    assert list(night.in_work.newly_stalled()) == []


def test_a_stalled_problem_is_named_once_with_run_shard_problem_and_round() -> None:
    night = Night()
    night.in_work.took(20)
    night.send(SECOND, "a", "b")
    night.settle(SECOND, "a")
    night.clock.now += 400
    for _ in range(3):
        night.progress.look()
    assert night.progress.notices == [
        "warning: run night, shard 1, problem p-2, replicate 0: stalled in round 2: 1 of 2 trajectories, "
        "nothing for 400 s; the longest trajectory so far took 20 s"
    ]


def test_where_no_more_problems_are_stalled_than_are_named_none_is_said_to_be_missing() -> None:
    night = Night()
    night.in_work.took(1)
    for number in range(MOST_STALLED):
        night.send(SetPlace(0, 1, f"p-{number:03}", 0), f"t-{number}")
    night.clock.now += 1_000
    night.progress.look()
    assert all("stalled in round 1" in notice for notice in night.progress.notices)
    assert len(night.progress.notices) == MOST_STALLED


def test_so_many_stalled_problems_are_named_and_no_more() -> None:
    night = Night()
    night.in_work.took(1)
    for number in range(MOST_STALLED + 30):
        night.send(SetPlace(0, 1, f"p-{number:03}", 0), f"t-{number}")
    night.clock.now += 1_000
    night.progress.look()
    assert len(night.progress.notices) == MOST_STALLED + 1
    assert (
        night.progress.notices[-1] == "warning: run night: further stalled problems are not named"
    )


Event = tuple[bool, int, int]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 5)), max_size=60))
def test_what_is_in_work_is_what_was_begun_and_is_not_settled(events: list[Event]) -> None:
    night, model = Night(), Counter[tuple[int, int]]()
    for is_begun, problem, name in events:
        place = SetPlace(0, 1, f"p-{problem}", 0)
        if is_begun:
            night.in_work.begin(place, [str(name)])
            model[problem, name] = 1
        else:
            night.in_work.settle(place, Filled(str(name), "stop", 1))
            model[problem, name] = 0
    open_ = Counter(f"p-{problem}" for (problem, _), count in model.items() if count)
    found = {now.place.problem_id: now.slots - now.settled for now in night.in_work.now()}
    assert found == dict(open_)


def test_each_round_has_what_was_planned_of_it_and_what_became_of_it() -> None:
    night = Night()
    assert {n: one.planned for n, one in night.progress.rounds.items()} == {1: 8, 2: 4}
    assert night.progress.planned == 12
    night.progress.add_to(1, RoundCounts(reused=2, truncated=1))
    night.progress.add_to(1, RoundCounts.of(Filled("a", "length", 70)))
    night.progress.add_to(1, RoundCounts.of(Filled("b", "engine_error", 0)))
    night.progress.add_to(2, RoundCounts.of(Filled("c", "stop", 30)))
    assert night.progress.rounds[1] == RoundCounts(8, 2, 1, 1, 2, 70)
    assert night.progress.rounds[1].left == 4
    assert night.progress.rounds[2] == RoundCounts(4, 0, 1, 0, 0, 30)
    assert (night.progress.settled, night.progress.completion_tokens) == (5, 100)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3), st.sampled_from(["stop", "length", "timeout"]), st.integers(0, 9)
        )
    )
)
def test_the_rounds_add_up_to_the_run(settled: list[tuple[int, str, int]]) -> None:
    progress = Progress.of("sums", Plan(widths=(4, 2)), 5)
    for round_, reason, tokens in settled:
        counts = RoundCounts.of(Filled("x", reason, tokens))  # type: ignore[arg-type]  # drawn words
        progress.add_to(round_, counts)
    total = sum(progress.rounds.values(), RoundCounts())
    assert total.generated == progress.generated
    assert total.failed == progress.unfinished
    assert total.tokens == progress.completion_tokens
    assert total.truncated == sum(reason == "length" for _, reason, _ in settled)
    assert total.planned == progress.planned == 5 * 7


def test_the_time_that_is_left_follows_from_what_each_round_still_needs() -> None:
    """Ten of round 1 took 100 tokens each, in 20 seconds: two more there, and four finals as long as the
    two that are there.
    """
    clock = Clock()
    progress = Progress.of("eta", Plan(widths=(2,)), 6, clock)
    progress.work(True)
    assert progress.seconds_left() is None
    for _ in range(8):
        clock.now += 2
        progress.add_to(1, RoundCounts(generated=1, tokens=100))
    for _ in range(2):
        clock.now += 2
        progress.add_to(2, RoundCounts(generated=1, tokens=200))
    assert progress.seconds_left() == pytest.approx((4 * 100 + 4 * 200) / (1_200 / 20))
    assert progress.line().endswith(", about 20 s left")
    progress.in_work.took(30)
    assert progress.seconds_left() == 2 * 30
    progress.add_to(1, RoundCounts(generated=4, tokens=400))
    assert progress.seconds_left() == 30
    progress.wait_for("vLLM to start again")
    assert progress.seconds_left() is None


def test_under_a_rule_the_time_that_is_left_is_not_that_of_all_slots() -> None:
    """Six sets of eight: three slots of each decided set are needed, and a final trajectory follows."""
    clock = Clock()
    progress = Progress.of("eta", Plan(widths=(8,), stopping="votes:0.9,batch:4"), 6, clock)
    progress.work(True)
    assert progress.line() == "0/≤54 trajectories, 0 reused"
    for _ in range(10):
        clock.now += 2
        progress.add_to(1, RoundCounts(generated=1, tokens=100))
    assert progress.seconds_left() is None, "no set is decided yet"
    for _ in range(3):
        progress.add_to(1, RoundCounts(aborted=5, decided=8))
    # Nine trajectories of the other three sets, of which one is there, and six finals.
    assert progress.seconds_left() == pytest.approx((8 * 100 + 6 * 100) / (1_000 / 20))
    assert progress.line().startswith("10/≤39 trajectories, 0 reused, 15 not needed, ")
    progress.add_to(1, RoundCounts(generated=8, tokens=800))
    for _ in range(3):
        progress.add_to(1, RoundCounts(aborted=5, decided=8))
    assert progress.line().startswith("18/24 trajectories, 0 reused, 30 not needed, ")


def test_a_rule_of_later_rounds_is_judged_by_the_first_until_it_has_decided_a_set_of_its_own() -> (
    None
):
    clock = Clock()
    progress = Progress.of("eta", Plan(widths=(8, 4), stopping="votes:0.9"), 2, clock)
    progress.work(True)
    for _ in range(10):
        clock.now += 2
        progress.add_to(1, RoundCounts(generated=1, tokens=100))
    for _ in range(2):
        progress.add_to(1, RoundCounts(aborted=3, decided=8))
    # Ten of sixteen slots of round 1 were needed: of eight of round 2 it is taken to be five.
    assert progress.seconds_left() == pytest.approx((5 * 100 + 2 * 100) / (1_000 / 20))
    progress.add_to(2, RoundCounts(generated=4, tokens=400, decided=4))
    assert progress.seconds_left() == pytest.approx((4 * 100 + 2 * 100) / (1_400 / 20))


def test_what_is_spent_is_part_of_the_line() -> None:
    progress = Progress(planned=2, spending=lambda: "4,000 of max_tokens_total 5,000")
    assert progress.line() == "0/2 trajectories, 0 reused, spent 4,000 of max_tokens_total 5,000"


def test_the_page_of_progress_names_each_round_and_the_problems_that_are_silent_for_longest() -> (
    None
):
    night = Night()
    for number in range(SHOWN_IN_WORK + 5):
        night.clock.now += 1
        night.send(SetPlace(3, 1, f"p-{number:03}", 0), "a", "b")
    night.settle(SetPlace(3, 1, "p-000", 0), "a", 40)
    shown = to_text(progress_sheet(night.progress), 120)
    assert shown.startswith("Progress of run night")
    assert "1/12 trajectories, 0 reused, 40 tokens in finished ones" in shown
    rounds = [line.split() for line in shown.splitlines() if line.split()[:1] in (["1"], ["2"])]
    assert rounds == [
        ["1", "8", "0", "1", "0", "0", "7", "40"],
        ["2", "4", "0", "0", "0", "0", "4", "0"],
    ]
    assert "30 problems in work, 0 of them stalled" in shown
    named = [line.split()[0] for line in shown.splitlines() if line.startswith("p-")]
    assert named == [f"p-{number:03}" for number in range(1, SHOWN_IN_WORK + 1)]
    assert "… and 5 more" in shown

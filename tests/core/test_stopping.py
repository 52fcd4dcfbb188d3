"""When a set of trajectories is decided: by votes, by arrivals, and what is begun until then."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from pacore.core.stopping import (
    LEAST_VOTES,
    Arrival,
    Decision,
    Stopping,
    decide,
    parse_stopping,
    posterior,
    predictive,
)


def arrived(keys: str, slots: Sequence[int] | None = None) -> list[Arrival]:
    """Arrivals with one letter each as answer: ``aab``; a point is a message without an answer, and a
    space a trajectory without a message.
    """
    return [
        Arrival(slot, None if key in ". " else key, key != " ", 100)
        for slot, key in zip(slots or range(len(keys)), keys, strict=False)
    ]


def test_a_round_without_a_rule_begins_all_its_slots_and_waits_for_them() -> None:
    assert decide(Stopping(), 8, 0, []) == Decision(begin=8)
    assert decide(Stopping(), 8, 8, arrived("aaaaaaa")) == Decision()
    assert decide(Stopping(), 8, 8, arrived("aaaaaaaa")) == Decision()


def test_a_set_is_decided_by_votes_when_the_leading_class_is_probably_ahead_of_the_second() -> None:
    rule = Stopping(votes=0.95)
    assert decide(rule, 64, 64, arrived("aaa")) == Decision(probability=0.9375)
    assert decide(rule, 64, 64, arrived("aaaa")) == Decision(
        is_stopped=True, reason="votes", probability=0.96875, aborts=True
    )
    assert not decide(rule, 64, 64, arrived("aaaab")).is_stopped
    # Messages without an answer give no vote, and a third class does not count.
    assert decide(rule, 64, 64, arrived("a.a. aa")).is_stopped
    assert decide(rule, 64, 64, arrived("aaaaaabcdef")).is_stopped


def test_two_equal_answers_of_two_decide_nothing() -> None:
    rule = Stopping(votes=0.6)
    assert posterior(LEAST_VOTES - 1, 0) > 0.6
    assert not decide(rule, 64, 64, arrived("aa")).is_stopped
    assert decide(rule, 64, 64, arrived("aaa")).is_stopped


def test_a_tie_is_never_decided() -> None:
    for rule in (Stopping(votes=0.51), Stopping(lead=0.51)):
        assert decide(rule, 64, 64, arrived("aaabbb")) == Decision(probability=0.5)


def test_a_lead_that_nothing_can_reach_is_decided() -> None:
    for rule in (Stopping(votes=0.999), Stopping(lead=1.0)):
        assert not decide(rule, 5, 5, arrived("aab")).is_stopped
        assert decide(rule, 5, 5, arrived("aaab")).is_stopped
        assert decide(rule, 3, 3, arrived("aa")).is_stopped
    assert decide(Stopping(lead=1.0), 5, 5, arrived("aaab")).probability == 1.0


def test_a_close_race_is_decided_by_lead_when_little_is_left() -> None:
    answers = "ab" * 14 + "aaaa"
    assert not decide(Stopping(lead=0.85), 64, 64, arrived(answers)).is_stopped
    decision = decide(Stopping(lead=0.85), 40, 40, arrived(answers))
    assert (decision.is_stopped, decision.reason) == (True, "lead")
    # By votes it is not: more trajectories than the set has could turn it.
    assert not decide(Stopping(votes=0.85), 40, 40, arrived(answers)).is_stopped


def test_the_round_goes_on_when_so_many_messages_are_there() -> None:
    rule = Stopping(arrivals=3)
    assert decide(rule, 4, 4, arrived("ab ")) == Decision()
    assert decide(rule, 4, 4, arrived("ab.")) == Decision(
        is_stopped=True, reason="arrivals", aborts=True
    )
    assert decide(rule, 4, 4, arrived("ab .")) == Decision(), "all have ended: nothing is stopped"


def test_a_set_may_take_so_many_tokens_and_has_a_message_all_the_same() -> None:
    rule = Stopping(tokens=250)
    assert decide(rule, 8, 8, arrived("ab")) == Decision()
    assert decide(rule, 8, 8, arrived("abc")) == Decision(
        is_stopped=True, reason="tokens", aborts=True
    )
    assert not decide(rule, 8, 8, arrived("    ")).is_stopped
    assert decide(rule, 8, 8, arrived("    a")).is_stopped


@pytest.mark.parametrize(
    ("keys", "slots"),
    [
        ("aaaa", 2),
        ("aaab", 4),  # A third of the way to 8, rounded up: one of the three others disagrees.
        ("aabb", 6),
        ("abcd", 8),
        ("....", 8),
        ("aa..", 6),
        ("a", 8),
        ("", 8),
    ],
)
def test_a_round_has_more_slots_the_less_its_messages_agree(keys: str, slots: int) -> None:
    votes = [None if key == "." else key for key in keys]
    assert Stopping(fewest=2).slots(8, votes) == slots
    assert Stopping(fewest=9).slots(8, votes) == 8
    assert Stopping(votes=0.9).slots(8, votes) == 8


def test_a_narrow_set_is_decided_when_its_slots_have_ended() -> None:
    rule = Stopping(fewest=2)
    assert decide(rule, 8, 0, [], slots=3) == Decision(begin=3)
    assert decide(rule, 8, 3, arrived("ab"), slots=3) == Decision()
    assert decide(rule, 8, 3, arrived("abc"), slots=3) == Decision(
        is_stopped=True, reason="fewest", aborts=True
    )
    assert decide(rule, 8, 8, arrived("abcdefgh"), slots=8) == Decision()
    in_batches = Stopping(fewest=2, batch=2, votes=0.9)
    assert decide(in_batches, 8, 2, arrived("ab"), slots=3).begin == 1
    assert decide(in_batches, 8, 3, arrived("aaa"), slots=3).is_stopped


def test_no_round_follows_where_the_leading_class_of_the_messages_is_probably_ahead() -> None:
    rule = Stopping(depth=0.9)
    assert rule.ending(arrived("ba.aa")) is None
    assert rule.ending(arrived("ba.aaaa")) == arrived("ba.aaaa")[1], "the first slot of the class"
    assert rule.ending(arrived("aa")) is None
    assert rule.ending(arrived("aaabb")) is None
    assert Stopping(depth=0.8).ending(arrived("aaaab")) == arrived("aaaab")[0]
    assert Stopping().ending(arrived("aaaa")) is None
    voted_without_message = [one._replace(has_message=False) for one in arrived("aaaa")]
    assert rule.ending(voted_without_message) is None
    late = [Arrival(slot, "a", has_message=True, tokens=1) for slot in (5, 3, 7)]
    assert rule.ending(late) == late[1]


def test_batches_begin_when_those_before_have_ended() -> None:
    rule = Stopping(votes=0.95, batch=4)
    assert decide(rule, 10, 0, []) == Decision(begin=4)
    assert decide(rule, 10, 4, arrived("aba")).begin == 0
    assert decide(rule, 10, 4, arrived("abab")).begin == 4
    assert decide(rule, 10, 8, arrived("abababab")).begin == 2, "the last batch has what is left"
    assert decide(rule, 10, 8, arrived("aaaa")).is_stopped


def test_batches_grow() -> None:
    assert Stopping(batch=4, growth=2).boundaries(64) == [4, 12, 28, 60, 64]
    assert Stopping(batch=4).boundaries(10) == [4, 8, 10]
    assert Stopping().boundaries(64) == [64]


def test_the_next_batch_begins_beside_what_is_late() -> None:
    rule = Stopping(batch=4, ready=0.75)
    assert decide(rule, 12, 4, arrived("ab")).begin == 0
    assert decide(rule, 12, 4, arrived("abc")) == Decision(begin=4)
    assert decide(rule, 12, 8, arrived("abcde")).begin == 0
    assert decide(rule, 12, 8, arrived("abcdef")).begin == 4, "6 of the 8 that were begun"
    assert decide(rule, 12, 12, arrived("abcdefghi")) == Decision(), "the last batch is waited for"


def test_what_is_late_is_aborted_where_the_rule_says_so() -> None:
    rule = Stopping(batch=4, ready=0.75, abort_late=True)
    assert decide(rule, 8, 4, arrived("abc")) == Decision(begin=4, aborts=True)
    assert decide(rule, 8, 8, arrived("abcde", slots=[0, 1, 3, 4, 5])) == Decision()
    assert decide(rule, 8, 8, arrived("abcdef", slots=[0, 1, 3, 4, 5, 7])) == Decision(
        is_stopped=True, reason="ready", aborts=True
    )


def test_a_batch_that_a_kill_cut_in_two_is_begun_to_its_end() -> None:
    assert decide(Stopping(batch=4), 12, 6, arrived("abcd")) == Decision(begin=2)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", Stopping()),
        ("votes:0.9,batch:8", Stopping(votes=0.9, batch=8)),
        ("arrivals:12", Stopping(arrivals=12)),
        (
            "lead:0.85,batch:16,growth:2,ready:0.75,abort_late",
            Stopping(lead=0.85, batch=16, growth=2, ready=0.75, abort_late=True),
        ),
        ("tokens:90000,fewest:2,depth:0.95", Stopping(tokens=90000, fewest=2, depth=0.95)),
    ],
)
def test_a_rule_has_one_spelling(text: str, rule: Stopping) -> None:
    assert parse_stopping(text) == rule
    assert rule.text == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("vote:0.9", "'vote:0.9' is no part of a rule"),
        ("votes", "votes needs a number, as in votes:0.9,batch:8"),
        ("abort_late:1", "abort_late takes no number"),
        (",", "',' has no part of a rule"),
        ("votes:many", "votes: 'many' is not a number"),
        ("batch:2.5", "batch: '2.5' is not a number"),
        ("votes:0.9,votes:0.8", "votes is given twice"),
        ("votes:0.5", "votes: 0.5 is no probability above 0.5"),
        ("lead:95", "lead: 95 is no probability above 0.5"),
        ("votes:nan", "votes: nan is no probability above 0.5"),
        ("arrivals:0", "arrivals: 0 is less than 1"),
        ("fewest:0", "fewest: 0 is less than 1"),
        ("depth:1.1", "depth: 1.1 is no probability above 0.5"),
        ("votes:0.9,ready:0.5", "growth and ready are of batches, and batch is not given"),
        ("batch:4,ready:0", "ready: 0 is no share above 0"),
        ("batch:4,abort_late", "abort_late needs a share below 1 as ready"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(text: str, what: str) -> None:
    with pytest.raises(ValueError, match="^" + what.replace("(", r"\(")):
        parse_stopping(text)


few = st.integers(0, 40)


@given(few, few)
def test_the_posterior_is_that_of_a_beta_distribution(leading: int, second: int) -> None:
    expected = special.betaincc(leading + 1, second + 1, 0.5)
    assert posterior(leading, second) == pytest.approx(expected, rel=1e-12)
    assert posterior(leading, second) + posterior(second, leading) == pytest.approx(1, rel=1e-12)


@cache
def drawn(leading: int, second: int, left: int) -> Fraction:
    """`predictive` by drawing the votes to come one after the other, as from Pólya's urn."""
    if not left:
        return Fraction(1 if leading > second else 0 if leading < second else Fraction(1, 2))
    chance = Fraction(leading + 1, leading + second + 2)
    won, lost = drawn(leading + 1, second, left - 1), drawn(leading, second + 1, left - 1)
    return chance * won + (1 - chance) * lost


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 20))
def test_a_lead_is_predicted_as_by_drawing_the_votes_to_come(
    leading: int, second: int, left: int
) -> None:
    assert predictive(leading, second, left) == float(drawn(leading, second, left))


def test_a_lead_over_a_large_set_is_nearly_that_over_any_number() -> None:
    assert predictive(7, 3, 4000) == pytest.approx(posterior(7, 3), abs=1e-3)


answers = st.lists(st.sampled_from(["a", "b", "c", None]), max_size=12)
rules = st.builds(
    Stopping,
    votes=st.none() | st.floats(0.6, 0.99),
    lead=st.none() | st.floats(0.6, 1.0),
    arrivals=st.none() | st.integers(1, 12),
    batch=st.integers(1, 5),
    growth=st.integers(1, 3),
    ready=st.floats(0.1, 1.0),
)


@given(rules, answers)
def test_every_set_comes_to_an_end_and_begins_each_slot_once(
    rule: Stopping, keys: list[str | None]
) -> None:
    begun, arrivals = 0, list[Arrival]()
    decision = decide(rule, len(keys), begun, arrivals)
    while not decision.is_stopped and len(arrivals) < len(keys):
        begun += decision.begin
        assert len(arrivals) < begun <= len(keys), "something is in flight"
        slot = len(arrivals)
        arrivals.append(Arrival(slot, keys[slot], True, 1))
        decision = decide(rule, len(keys), begun, arrivals)
    assert not (decision.is_stopped and len(arrivals) == len(keys))


@given(rules, answers)
def test_a_decision_depends_on_votes_and_slots_and_not_on_the_order_before(
    rule: Stopping, keys: list[str | None]
) -> None:
    arrivals = [Arrival(slot, key, True, 1) for slot, key in enumerate(keys)]
    assert decide(rule, 16, 16, arrivals) == decide(rule, 16, 16, arrivals[::-1])


def acts(rule: Stopping, width: int, shown: str) -> bool:
    """Whether a set comes out otherwise than all its slots filled, all with one answer, in slot order."""
    slots = rule.slots(width, list(shown))
    begun, seen = 0, arrived("")
    while len(seen) < slots:
        decision = decide(rule, width, begun, seen, slots)
        if decision.is_stopped or (decision.aborts and begun > len(seen)):
            return True
        begun += decision.begin
        if not decision.begin:
            seen = arrived("a" * (len(seen) + 1))
    return slots < width or rule.ending(seen) is not None


all_parts = st.builds(
    Stopping,
    votes=st.none() | st.floats(0.6, 1.0),
    lead=st.none() | st.floats(0.6, 1.0),
    arrivals=st.none() | st.integers(1, 9),
    batch=st.integers(1, 9),
    growth=st.integers(1, 3),
    ready=st.floats(0.1, 0.9),
    abort_late=st.booleans(),
    tokens=st.none() | st.just(100),
    fewest=st.none() | st.integers(1, 9),
    depth=st.none() | st.floats(0.6, 1.0),
)


@given(rules | all_parts)
def test_every_rule_is_read_from_its_spelling(rule: Stopping) -> None:
    assert parse_stopping(rule.text) == rule


@given(all_parts, st.integers(2, 8), st.sampled_from(["", "aaaa"]))
def test_a_part_is_inert_where_no_agreement_makes_it_act(
    rule: Stopping, width: int, shown: str
) -> None:
    inert = rule.inert(width, shows_messages=bool(shown))
    batches = Stopping(
        batch=rule.batch, growth=rule.growth, ready=rule.ready, abort_late=rule.abort_late
    )
    alone = [
        Stopping(votes=rule.votes),
        Stopping(lead=rule.lead),
        Stopping(arrivals=rule.arrivals),
        Stopping(tokens=rule.tokens),
        Stopping(fewest=rule.fewest),
        Stopping(depth=rule.depth),
    ]
    for one in filter(lambda one: one != Stopping(), alone):
        assert acts(one, width, shown) is (one.text not in inert), one.text
    if rule.abort_late:
        assert acts(batches, width, shown) is ("abort_late" not in inert)


@pytest.mark.parametrize(
    ("rule", "least"),
    [
        (Stopping(), 16),
        (Stopping(votes=0.9), 3),
        (Stopping(votes=0.99), 6),
        (Stopping(arrivals=12), 12),
        (Stopping(tokens=250), 3),
        (Stopping(fewest=2), 2),
        (Stopping(batch=8, ready=0.5, abort_late=True), 8),
    ],
    ids=lambda one: getattr(one, "text", None),
)
def test_the_fewest_trajectories_that_a_rule_can_do_with_are_those_that_agree(
    rule: Stopping, least: int
) -> None:
    assert rule.least(16, 100, shows_messages=True) == least


def test_a_first_round_shows_no_messages_that_could_make_it_narrow() -> None:
    assert Stopping(fewest=2).least(16, 100, shows_messages=False) == 16


def test_a_rule_of_batches_alone_stops_nothing() -> None:
    [(part, why)] = Stopping(batch=8).inert(64, shows_messages=False).items()
    assert part == "batch:8"
    assert "without votes" in why

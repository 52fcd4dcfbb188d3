"""Message sets that were edited: only what the edit says, and the same each time."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.errors import BadInput
from pacore.evaluation.interventions import JudgedMessage, edited, parse_edit


def messages(rights: str, start: int = 0) -> list[JudgedMessage]:
    """``+-?`` as a right, a wrong and an undecided message."""
    return [
        JudgedMessage(
            f"t{start + at}", f"text {start + at}", {"+": True, "-": False, "?": None}[one]
        )
        for at, one in enumerate(rights)
    ]


def told(found: list[JudgedMessage] | None) -> str | None:
    return (
        None
        if found is None
        else "".join({True: "+", False: "-", None: "?"}[m.is_right] for m in found)
    )


OWN, EVERY = messages("+--?"), [*messages("+--?"), *messages("++-", 4)]


@pytest.mark.parametrize(
    ("edit", "right"),
    [
        ("same", "+--?"), ("duplicate=2", "++----??"), ("only-wrong", "--"), ("only-right", "+"),
        ("first=wrong", "-+-?"), ("first=right", "+--?"), ("drop=4", None), ("wrong=4/5", None),
        ("wrong=0/4", None),
    ],
)  # fmt: skip
def test_an_edit_does_what_it_says(edit: str, right: str | None) -> None:
    assert told(edited(edit, OWN, EVERY)) == right


def test_sets_with_k_wrong_of_n_are_drawn_from_all_replicates() -> None:
    found = edited("wrong=2/4", OWN, EVERY)
    assert found is not None and Counter(told(found) or "") == Counter("++--")
    assert len({message.trajectory_id for message in found}) == 4


def test_what_cannot_be_had_of_a_set_is_none() -> None:
    assert edited("only-right", messages("--"), messages("--")) is None
    assert edited("first=right", messages("-?"), messages("-?")) is None
    assert edited("shuffle", messages("+"), messages("+")) is None
    assert edited("drop=1", messages("+"), messages("+")) is None


RIGHTS = st.text(st.sampled_from("+-?"), min_size=2, max_size=8)


@given(RIGHTS, st.sampled_from(["shuffle", "drop=1", "wrong=1/2", "duplicate=3", "first=wrong"]))
def test_an_edit_of_a_set_is_the_same_each_time_and_invents_no_message(
    rights: str, edit: str
) -> None:
    own = messages(rights)
    found = edited(edit, own, own)
    assert found == edited(edit, own, own)
    assert set(found or ()) <= set(own)


@given(RIGHTS)
def test_a_shuffle_is_another_order_of_the_same(rights: str) -> None:
    own = messages(rights)
    found = edited("shuffle", own, own)
    assert found is not None and found != own and sorted(found, key=own.index) == own


@pytest.mark.parametrize(
    "edit", ["", "wrong", "wrong=3/2", "drop=0", "first=none", "same=1", "drop=x"]
)
def test_an_edit_that_is_none_is_bad_input_that_names_it(edit: str) -> None:
    with pytest.raises(BadInput, match=f"^--edit {edit!r}: "):
        parse_edit(edit)


def test_duplicate_without_a_number_is_twice() -> None:
    assert parse_edit("duplicate") == "duplicate=2"

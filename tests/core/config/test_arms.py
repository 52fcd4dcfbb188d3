"""What a sweep compares, read from a line each."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.sweep import DEFAULT_ARMS, Arm, parse_arm, parse_arms, pool_draws
from pacore.errors import BadInput


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("single", Arm("single", "single", "pool")),
        ("sc:16", Arm("sc-16", "sc:16", "majority", count=16)),
        ("bon:4", Arm("bon-4", "bon:4", "best", count=4)),
        ("low", Arm("low", "low", "run", (4,))),
        ("high", Arm("high", "high", "run", (32, 4))),
        ("32,8", Arm("k-32-8", "32,8", "run", (32, 8))),
        ("sequential:5", Arm("sequential-5", "sequential:5", "run", (1, 1, 1, 1))),
        ("sequential:1", Arm("sequential-1", "sequential:1", "run", ())),
        ("verbatim", Arm("verbatim", "verbatim", "run", (4,), policies={"compaction": "verbatim"})),
        (
            "rsa=16,16+subset=4",
            Arm("rsa", "rsa=16,16+subset=4", "run", (16, 16), policies={"subset": "4"}),
        ),
        (
            "low+pool=512+compaction=answer",
            Arm(
                "low-pool-512-compaction-answer", "low+pool=512+compaction=answer", "run", (4,),
                policies={"pool": "512", "compaction": "answer"},
            ),
        ),
    ],
)  # fmt: skip
def test_an_arm_is_read_from_a_line(text: str, arm: Arm) -> None:
    assert parse_arm(text) == arm


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lowe", "'lowe' (did you mean low?) is none of single, sc:K"),
        ("sc:0", "'sc:0' is none of"),
        ("", "'' is none of"),
        ("4,0", "every round needs at least one trajectory"),
        ("low+compaction", "'compaction' is no policy"),
        ("low+=4", "'=4' is no policy"),
        ("low+subset=2+subset=3", "has one policy twice"),
        ("sc:4+compaction=answer", "is measured on the pool"),
    ],
)
def test_what_is_no_arm_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as raised:
        parse_arm(text)
    assert str(raised.value).startswith(f"--arm {text!r}: ")
    assert "\n" not in str(raised.value)


def test_two_arms_of_one_name_are_refused_with_the_way_out() -> None:
    with pytest.raises(BadInput, match=r"'4,2': has the name 'k-4-2' .* --arm NAME=4,2"):
        parse_arms(["4,2", "4,2"])
    assert [arm.name for arm in parse_arms(["4,2", "again=4,2"])] == ["k-4-2", "again"]


def test_the_arms_a_sweep_has_unless_told_spend_the_same_number_of_trajectories() -> None:
    arms = {arm.name: arm for arm in parse_arms(DEFAULT_ARMS)}
    assert list(arms) == ["single", "sc-4", "low", "sequential-5", "verbatim"]
    assert arms["low"].trajectories == arms["sequential-5"].trajectories == 5
    assert arms["verbatim"].widths == arms["low"].widths


def test_the_pool_holds_the_first_round_of_every_pass() -> None:
    arms = parse_arms(["single", "sc:16", "32,4", "sequential:5"])
    assert pool_draws(arms, 3, None) == 96
    assert pool_draws(parse_arms(["single"]), 3, None) == 3
    assert pool_draws(arms, 3, 512) == 512


@given(st.text(max_size=40))
def test_any_text_is_an_arm_with_a_safe_name_or_refused(text: str) -> None:
    try:
        arm = parse_arm(text)
    except BadInput:
        return
    assert re.fullmatch(r"[a-z][a-z0-9-]*", arm.name)
    assert arm.trajectories >= 1

"""The runs a sweep is made of: what they share, and what tells them apart."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from pacore.core.config.run import RunConfig
from pacore.core.config.sweep import DEFAULT_ARMS, SweepConfig, plan_sweep, sweep_id_of

BASE: dict[str, Any] = {"engine": "scripted", "problems": "sums.jsonl", "replicates": 2}


def sweep(*arms: str, **fields: Any) -> SweepConfig:
    return SweepConfig.model_validate({"run": {**BASE, **fields}, "arms": arms or DEFAULT_ARMS})


def test_every_arm_that_is_a_run_has_its_widths_and_the_rest_of_the_base() -> None:
    planned = plan_sweep(sweep("low", "sequential:3", "single", temperature=0.5), "mine")
    assert {name: run.widths for name, run in planned.runs.items()} == {
        "low": (4,), "sequential-3": (1, 1),
    }  # fmt: skip
    for run in planned.configs:
        assert (run.temperature, run.problems) == (0.5, "sums.jsonl")
    assert [run.run_id for run in planned.configs] == ["mine.pool", "mine.low", "mine.sequential-3"]
    assert [planned.run_id(arm) for arm in planned.arms] == [
        "mine.low", "mine.sequential-3", "mine.pool",
    ]  # fmt: skip


def test_the_pool_has_every_first_round_and_no_policy_of_a_round() -> None:
    planned = plan_sweep(sweep("low", "sc:16", compaction="verbatim", min_messages=2), "mine")
    assert (planned.pool.widths, planned.pool.replicates) == ((), 32)
    assert (planned.pool.compaction, planned.pool.min_messages) == ("conclusion", 1)
    assert planned.runs["low"].compaction == "verbatim"


def test_an_arm_that_draws_from_a_pool_finds_all_of_it_there() -> None:
    planned = plan_sweep(sweep("low", "low+pool=64"), "mine")
    assert planned.pool.replicates == 64
    assert planned.runs["low-pool-64"].pool == 64
    assert planned.runs["low"].pool is None


def test_all_arms_share_one_recipe_so_that_equal_requests_are_one_trajectory() -> None:
    planned = plan_sweep(sweep("low", "verbatim", "sequential:5"), "mine")
    assert len({run.recipe.digest for run in planned.configs}) == 1


@pytest.mark.parametrize(
    ("arms", "fields", "says"),
    [
        (("lowe",), {}, "--arm 'lowe': 'lowe' (did you mean low?) is none of single"),
        (("low+replicates=3",), {}, "--arm 'low+replicates=3': 'replicates' is none of pool"),
        (("low+compaction=magic",), {}, "--arm 'low+compaction=magic': compaction: "),
        (("low+pool=2",), {}, "--arm 'low+pool=2': pool: 2 draws cannot fill a first round of 4"),
        (("low", "low"), {}, "has the name 'low' of 'low'"),
        (("pool=low",), {}, "the name 'pool' is that of"),
        (("low",), {"preset": "high"}, "preset: is set by an arm"),
        (("low",), {"widths": (4,)}, "widths: is set by an arm"),
        (("4,4",), {"min_messages": (2,)}, "--arm '4,4': min_messages: 1 numbers for 2 widths"),
    ],
)
def test_what_no_run_can_be_made_of_is_refused_by_name(
    arms: tuple[str, ...], fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        sweep(*arms, **fields)


def test_a_sweep_without_a_name_has_one_from_its_content() -> None:
    names = {
        sweep_id_of(config, "problems")
        for config in (
            sweep(), sweep("low"), sweep(temperature=0.5), sweep(replicates=3), sweep("low", "high"),
        )
    }  # fmt: skip
    assert len(names) == 5
    assert sweep_id_of(sweep("high", "low"), "problems") in names
    assert sweep_id_of(sweep(concurrency=3), "problems") == sweep_id_of(sweep(), "problems")
    assert sweep_id_of(sweep(run_id="mine"), "problems") == "mine"
    assert RunConfig.model_validate({**BASE, "run_id": sweep_id_of(sweep(), "problems")})

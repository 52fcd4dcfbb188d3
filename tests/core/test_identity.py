"""Identity: what changes a trajectory's id and seed, what changes a run, and what neither."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pacore.core.config.fields import Declared
from pacore.core.config.run import RunConfig, declarations, declared_fields, identity_digest
from pacore.core.config.vllm_options import OPERATIONAL, SEVERAL
from pacore.core.identity import canonical_json, digest
from pacore.core.message import Candidate, message_set
from pacore.core.plan import FIRST_FIELDS, Plan, shards
from pacore.core.problem import Problem, Turn, set_digest
from pacore.core.prompt import prompt_digest, turns_for, with_system
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Request

BASE: dict[str, Any] = {
    "problems": "problems.jsonl",
    "model": "example/model",
    "engine": "http",
    "endpoints": ("http://127.0.0.1:8000/v1",),
}


PROBLEMS = tuple(
    Problem(f"sum-{number}", (Turn("user", f"What is {number} + {number}?"),), str(2 * number))
    for number in range(7)
)


SET_DIGEST = set_digest(PROBLEMS)

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-2, 2) | words


lists = st.lists(scalars, max_size=2)


json_values = scalars | lists | st.dictionaries(words, scalars | lists, max_size=2)

RECIPE_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "model": words.filter(lambda name: name.partition("?")[0] != "scripted"),
    "revision": st.none() | words,
    "tokenizer": st.none() | words,
    "chat_template_options": st.dictionaries(words, json_values, max_size=3),
    "system": st.none() | words,
    "temperature": st.floats(0.0, 10.0),
    "top_p": st.floats(0.0, 1.0, exclude_min=True),
    "top_k": st.none() | st.integers(-1, 1000),
    "min_p": st.none() | st.floats(0.0, 1.0),
    "max_tokens": st.none() | st.integers(1, 200_000),
    "stop": st.lists(words, max_size=3).map(tuple),
    "omit": st.sets(st.sampled_from(["seed", "temperature", "top_p"])).map(tuple),
    "seed_root": words,
}


PLAN_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "preset": st.sampled_from([None, "low", "medium", "high"]),
    "widths": st.none() | st.lists(st.integers(1, 64), max_size=3).map(tuple),
    "replicates": st.integers(1, 64),
    "pool": st.none() | st.integers(64, 600),
    "message_order": st.sampled_from(["content", "reference"]),
    "compaction": st.sampled_from(["conclusion", "verbatim", "reference", "answer", "summary"]),
    "min_messages": st.integers(1, 4) | st.tuples(st.integers(1, 4)),
    "on_shortfall": st.sampled_from(["fail", "refill", "proceed"]),
    "refills": st.integers(1, 9),
    "truncated": st.sampled_from(["drop", "tail"]),
    "tail_tokens": st.integers(1, 4096),
    "overflow": st.sampled_from(["fail", "fewer_messages"]),
    "summary_tokens": st.none() | st.integers(1, 4096),
    "subset": st.none() | st.integers(1, 4),
    "workspace_tokens": st.none() | st.integers(1, 4096),
    "select": st.sampled_from(
        ["own", "random", "shortest", "longest", "majority", "spread", "trained"]
    ),
    "scorer": st.none() | st.sampled_from(["agreement:1.0", "length:-0.25"]),
    "stopping": st.none() | st.sampled_from(["votes:0.95", "votes:0.95,batch:8", "depth:0.9"]),
}


OTHER_OPERATION: dict[str, dict[str, Any]] = {
    "max_tokens_total": {"max_tokens_total": 1_000},
    "max_tokens_problem": {"max_tokens_problem": 500},
    "max_cost": {"max_cost": 2.5, "prices": "prices.csv"},
    "prices": {"prices": "prices.csv"},
    "max_hours": {"max_hours": 8.0},
    "partial": {"partial": True},
    "problems": {"problems": "s3://elsewhere/problems.parquet"},
    "engine": {"engine": "vllm", "endpoints": ()},
    "endpoints": {"endpoints": ("http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1")},
    "store": {"store": "/elsewhere"},
    "run_id": {"run_id": "tuesday"},
    "limit": {"limit": 3},
    "fields": {"fields": {"problem": "question.text"}},
    "api_key_env": {"api_key_env": "OTHER_KEY"},
    "concurrency": {"concurrency": 1},
    "timeout_seconds": {"timeout_seconds": 1.5},
    "connect_timeout_seconds": {"connect_timeout_seconds": 1.5},
    "tls_verify": {"tls_verify": False},
    "tls_ca_file": {"tls_ca_file": "ca.pem"},
    "retries": {"retries": 0},
    "retry_wait_seconds": {"retry_wait_seconds": 0.0},
    "retry_wait_max_seconds": {"retry_wait_max_seconds": 1.0},
    "early_stop": {"early_stop": 0},
    "attempts": {"attempts": 9},
    "shard_size": {"shard_size": 2},
    "grading_timeout_seconds": {"grading_timeout_seconds": 1.0},
}

Walk = dict[tuple[str, int, int, int], Request]


def config(**changes: Any) -> RunConfig:
    return RunConfig(**{**BASE, **changes})


def plan_config(name: str, value: Any) -> RunConfig:
    """A configuration with one field of the plan, and what that field does not go without."""
    beside: dict[str, Any] = {"max_tokens": 4096}
    if name == "compaction" and value == "summary":
        beside["summary_tokens"] = 64
    if name == "summary_tokens" and value is not None:
        beside["compaction"] = "summary"
    if name == "select":
        beside |= {"subset": 2, "scorer": "first:1.0" if value == "trained" else None}
    if name == "scorer" and value is not None:
        beside |= {"subset": 2, "select": "trained"}
    return config(**{name: value, **beside})


def run_digest(of: RunConfig) -> str:
    return identity_digest(of.identity(SET_DIGEST))


def walk(of: RunConfig, problems: Sequence[Problem], shard_size: int = 1000) -> Walk:
    """Every request of a run, with the id of each trajectory as what it concluded."""
    found: Walk = {}
    for shard in shards(len(problems), shard_size):
        for problem in problems[shard.start : shard.stop]:
            for replicate in range(of.plan.replicates):
                found |= _walk_one(of.recipe, of.plan, problem, replicate)
    return found


def _walk_one(recipe: Recipe, plan: Plan, problem: Problem, replicate: int) -> Walk:
    found: Walk = {}
    texts: list[str] = []
    for round_ in range(1, plan.rounds + 1):
        turns = with_system(turns_for(problem.turns, texts), recipe.system)
        prompt = prompt_digest(turns)
        draws = plan.draws(recipe.digest, prompt, round_, replicate)
        requests = [Request.of(recipe, turns, prompt, draw) for draw in draws]
        for slot, request in enumerate(requests):
            found[problem.problem_id, replicate, round_, slot] = request
        candidates = [Candidate(r.trajectory_id, f"so {r.trajectory_id}", 35) for r in requests]
        place = (round_, problem.problem_id, replicate)
        messages = message_set(place, candidates, plan.message_order, plan.compaction)
        texts = [message.text for message in messages]
    return found


def ids(of: Walk) -> dict[tuple[str, int, int, int], str]:
    return {place: request.trajectory_id for place, request in of.items()}


def test_every_configuration_field_is_declared_and_every_declaration_has_a_case_here() -> None:
    assert list(declarations()) == list(RunConfig.model_fields)
    assert set(RECIPE_VALUES) == set(declared_fields(Declared.RECIPE))
    assert set(PLAN_VALUES) == set(declared_fields(Declared.PLAN))
    assert set(OTHER_OPERATION) == set(declared_fields(Declared.OPERATIONAL))
    assert declared_fields(Declared.OPTIONS) == ["vllm_options"]


def test_a_field_that_is_declared_nothing_is_an_error() -> None:
    class Careless(RunConfig):
        shiny: int = 3

    with pytest.raises(KeyError, match="shiny is declared neither identity nor operational"):
        declarations(Careless)


def test_every_recipe_field_is_configured_and_every_plan_field_is_identity() -> None:
    recipe_fields = {field.name for field in dataclasses.fields(Recipe)}
    declared = set(declared_fields(Declared.RECIPE))
    assert set(config().recipe.as_json()) == declared - {"omit"}
    options = {"vllm_options": ("--dtype=half",), "omit": ("seed",)}
    owned = config(engine="vllm", endpoints=(), **options)
    assert recipe_fields == declared | {"engine_options"} == set(owned.recipe.as_json())
    fields = {field.name for field in dataclasses.fields(Plan)}
    assert set(config().plan.as_json()) == set(FIRST_FIELDS) < fields
    unusual = Plan((2,), 1, None, "content", "conclusion", (1,), "refill", 9, "tail", 9)
    whole = dataclasses.replace(
        unusual,
        overflow="fewer_messages",
        summary_tokens=9,
        subset=2,
        workspace_tokens=9,
        select="trained",
        scorer="first:1.0",
        stopping="votes:0.95,batch:8",
    )
    assert set(whole.as_json()) == fields
    assert Plan.from_json(json.loads(json.dumps(whole.as_json()))) == whole


def test_policies_that_came_later_leave_the_digest_of_a_plan_without_them_as_it_was() -> None:
    assert digest(Plan((4,)).as_json()) == (
        "4523897bca26f3a43ccc17f74022c16fa386d01c74a59d9a9184d19c6a61852a"
    )


@pytest.mark.parametrize("name", RECIPE_VALUES)
@settings(deadline=None)
@given(data=st.data())
def test_another_value_of_a_recipe_field_gives_other_trajectories_and_another_run(
    name: str, data: st.DataObject
) -> None:
    one, other = (config(**{name: data.draw(RECIPE_VALUES[name])}) for _ in range(2))
    assume(canonical_json(getattr(one, name)) != canonical_json(getattr(other, name)))
    before, after = walk(one, PROBLEMS[:1]), walk(other, PROBLEMS[:1])
    assert not set(ids(before).values()) & set(ids(after).values())
    assert not {r.seed for r in before.values()} & {r.seed for r in after.values()}
    assert run_digest(one) != run_digest(other)


@pytest.mark.parametrize("name", sorted(set(PLAN_VALUES) - {"preset", "widths"}))
@settings(deadline=None)
@given(data=st.data())
def test_another_value_of_a_plan_field_gives_another_run(name: str, data: st.DataObject) -> None:
    one, other = (plan_config(name, data.draw(PLAN_VALUES[name])) for _ in range(2))
    assume(getattr(one, name) != getattr(other, name))
    assert run_digest(one) != run_digest(other)


@settings(deadline=None)
@given(one=PLAN_VALUES["widths"], other=PLAN_VALUES["widths"] | st.just((4,)))
def test_runs_with_other_widths_are_other_runs(
    one: tuple[int, ...] | None, other: tuple[int, ...] | None
) -> None:
    same = (one or ((4,) if one is None else ())) == (other or ((4,) if other is None else ()))
    assert (run_digest(config(widths=one)) == run_digest(config(widths=other))) is same


@pytest.mark.parametrize(("preset", "widths"), [("low", [4]), ("medium", [16]), ("high", [32, 4])])
def test_a_preset_is_the_same_run_as_its_widths(preset: str, widths: list[int]) -> None:
    by_name, by_numbers = config(preset=preset), config(widths=widths)
    assert run_digest(by_name) == run_digest(by_numbers)
    assert (run_digest(by_name) == run_digest(config())) is (preset == "low")


def test_another_problem_set_is_another_run() -> None:
    assert identity_digest(config().identity(SET_DIGEST)) != identity_digest(
        config().identity(set_digest(PROBLEMS[:-1]))
    )


@pytest.mark.parametrize("name", OTHER_OPERATION)
def test_an_operational_field_changes_no_id_and_no_run(name: str) -> None:
    usual, changed = config(), config(**OTHER_OPERATION[name])
    assert getattr(usual, name) != getattr(changed, name)
    assert walk(usual, PROBLEMS) == walk(changed, PROBLEMS)
    assert run_digest(usual) == run_digest(changed)


@settings(deadline=None)
@given(
    shaping=st.dictionaries(st.sampled_from(["dtype", "seed", "new"]), st.text("ab1.")),
    running=st.dictionaries(st.sampled_from(sorted(OPERATIONAL - SEVERAL)), st.text("ab1.")),
)
def test_of_a_servers_options_those_of_capacity_and_speed_alone_change_no_id(
    shaping: dict[str, str], running: dict[str, str]
) -> None:
    def ids_with(*options: dict[str, str]) -> tuple[Walk, str]:
        arguments = [f"--{name}={value}" for part in options for name, value in part.items()]
        of = config(engine="vllm", endpoints=(), vllm_options=tuple(arguments))
        return walk(of, PROBLEMS[:1]), run_digest(of)

    bare, bare_run = ids_with()
    found, found_run = ids_with(running, shaping)
    assert (found, found_run) == ids_with(shaping)
    assert (set(ids(bare).values()) & set(ids(found).values()) == set()) is bool(shaping)
    assert (bare_run == found_run) is not bool(shaping)


@pytest.mark.parametrize("pool", [None, 2048])
@pytest.mark.parametrize("width", [1, 16, 512])
def test_identical_prompts_get_distinct_ids_and_seeds(width: int, pool: int | None) -> None:
    replicates = 1 if pool else 4
    walked = walk(config(widths=[width], replicates=replicates, pool=pool), PROBLEMS[:1])
    first = [request for (_, _, round_, _), request in walked.items() if round_ == 1]
    assert len({request.prompt_digest for request in first}) == 1
    assert len({request.trajectory_id for request in first}) == width * replicates
    assert len({request.seed for request in first}) == width * replicates


@pytest.mark.slow
@settings(deadline=None)
@given(st.permutations(PROBLEMS), st.integers(1, 9), st.randoms(use_true_random=False))
def test_order_of_problems_shards_and_workers_changes_nothing(
    problems: list[Problem], shard_size: int, random: Random
) -> None:
    of = config(widths=[3, 2], replicates=2)
    alone = [walk(of, [problem]) for problem in PROBLEMS]
    random.shuffle(alone)
    together: Walk = {}
    for part in alone:
        together |= part
    assert walk(of, problems, shard_size) == together == walk(of, PROBLEMS)


@pytest.mark.parametrize("pool", [None, 512])
def test_a_wider_round_contains_the_narrower_one(pool: int | None) -> None:
    narrow = walk(config(widths=[4], pool=pool), PROBLEMS)
    wide = walk(config(widths=[16], pool=pool), PROBLEMS)
    first = {place: request for place, request in narrow.items() if place[2] == 1}
    assert len(first) == 4 * len(PROBLEMS)
    assert first == {place: wide[place] for place in first}


def test_a_configuration_read_back_from_json_is_the_same_run() -> None:
    of = config(preset="high", temperature=1, stop=["END"], chat_template_options={"a": [1, None]})
    again = RunConfig.model_validate(json.loads(of.model_dump_json()))
    assert run_digest(again) == run_digest(of)
    assert walk(again, PROBLEMS[:2]) == walk(of, PROBLEMS[:2])
    assert Plan.from_json(json.loads(json.dumps(of.plan.as_json()))) == of.plan

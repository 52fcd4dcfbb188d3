"""What `tidy` finds dead and puts right, and that it leaves alone whatever lives."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import StateType

from tasks.dead import (
    FLOWS,
    HEARTBEAT,
    Look,
    Remedies,
    SeenLimit,
    SeenRun,
    remedies,
    watch_for_silence,
)
from tests.conftest import ROOT
from tests.fixtures.deaths import tidied
from tests.fixtures.deployed import asked
from tests.flows.test_takeover import (
    FlowRun,
    ask,
    config_of,
    flow_runs,
    label,
    started,
    task_states,
    wait_for,
)

RUN, TASK, BEAT, STATE = uuid4(), uuid4(), uuid4(), uuid4()
LIMIT = SeenLimit(2, frozenset([RUN]))


def seen(
    state: StateType = StateType.RUNNING,
    is_gone: bool | None = None,
    heartbeat: UUID | None = BEAT,
    open_tasks: tuple[UUID, ...] = (TASK,),
    state_id: UUID = STATE,
) -> SeenRun:
    return SeenRun("infer-x", state, state_id, is_gone, heartbeat, frozenset(open_tasks))


def twice(before: SeenRun, after: SeenRun | None = None) -> Remedies:
    return remedies(Look({RUN: before}), Look({RUN: after or before}))


def test_a_run_that_nothing_is_heard_of_is_dead_and_so_are_its_tasks() -> None:
    found = twice(seen())
    assert set(found.flow_runs) == {RUN}
    assert found.task_runs == {RUN: {TASK}}


def test_one_look_is_not_enough_for_anything() -> None:
    whole = Look({RUN: seen(is_gone=True)}, {"nightly": LIMIT})
    assert remedies(Look(), whole) == Remedies({}, {}, {})
    assert remedies(whole, Look()) == Remedies({}, {}, {})


@pytest.mark.parametrize(
    "after",
    [
        seen(heartbeat=uuid4()),
        seen(state_id=uuid4()),
        seen(is_gone=False),
        seen(StateType.COMPLETED, state_id=uuid4(), is_gone=True),
    ],
    ids=["a heartbeat", "another state", "its process runs here", "it has just ended"],
)
def test_a_sign_of_life_is_enough(after: SeenRun) -> None:
    assert twice(seen(), after) == Remedies({}, {}, {})


def test_a_run_elsewhere_that_never_sent_a_heartbeat_may_be_alive() -> None:
    assert twice(seen(heartbeat=None)) == Remedies({}, {}, {})
    assert set(twice(seen(heartbeat=None, is_gone=True)).flow_runs) == {RUN}


@pytest.mark.parametrize("state", [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED])
def test_of_a_run_that_has_ended_only_the_tasks_it_left_are_put_right(state: StateType) -> None:
    for heartbeat in (BEAT, None):
        found = twice(seen(state, heartbeat=heartbeat))
        assert found == Remedies({}, {RUN: frozenset([TASK])}, {})
    later = seen(state, open_tasks=(uuid4(),))
    assert twice(seen(state), later).task_runs == {}, "what a retry began is another task run"


def test_slots_are_free_that_nobody_has_and_had() -> None:
    stuck = Look(limits={"nightly": LIMIT})
    assert remedies(stuck, stuck).limits == {"nightly": LIMIT}
    for other in (SeenLimit(2, frozenset([uuid4()])), SeenLimit(1, LIMIT.holders)):
        assert remedies(stuck, Look(limits={"nightly": other})).limits == {}


def test_every_flow_that_is_deployed_is_looked_after_but_the_one_that_looks() -> None:
    listed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    functions = {one["entrypoint"].rpartition(":")[2] for one in listed}
    assert {name.replace("_", "-") for name in functions} - {"tidy"} == set(FLOWS)


finals = st.sampled_from([StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED])
states = st.sampled_from([StateType.RUNNING, StateType.CANCELLING]) | finals


@st.composite
def living(draw: st.DrawFn) -> tuple[SeenRun, SeenRun]:
    """Two looks at a run that lives: here, or elsewhere and so with another heartbeat or state."""
    task_runs = tuple(draw(st.lists(st.uuids(), max_size=3)))
    before = seen(
        draw(states),
        draw(st.sampled_from([None, False])),
        draw(st.none() | st.uuids()),
        task_runs,
        draw(st.uuids()),
    )
    sign = draw(st.sampled_from(["process", "heartbeat", "state", "never heard of"]))
    if sign == "process":
        return before, seen(before.state, False, before.heartbeat, task_runs, before.state_id)
    if sign == "heartbeat":
        return before, seen(before.state, None, uuid4(), task_runs, before.state_id)
    if sign == "state":
        gone = draw(st.sampled_from([None, True, False]))
        return before, seen(draw(states), gone, before.heartbeat, task_runs, uuid4())
    silent = seen(StateType.RUNNING, None, None, task_runs, before.state_id)
    return silent, silent


@st.composite
def dead(draw: st.DrawFn) -> SeenRun:
    gone = draw(st.sampled_from([None, True]))
    heartbeat = draw(st.uuids() if gone is None else st.none() | st.uuids())
    return seen(draw(states), gone, heartbeat, (draw(st.uuids()),), draw(st.uuids()))


@given(st.lists(living(), max_size=6), st.lists(dead(), max_size=6), st.integers(0, 4))
def test_whatever_is_dead_is_found_and_nothing_that_lives(
    alive: list[tuple[SeenRun, SeenRun]], gone: list[SeenRun], absent: int
) -> None:
    before = {uuid4(): first for first, _ in alive}
    after = dict(zip(before, (second for _, second in alive), strict=True))
    buried = {uuid4(): run for run in gone}
    new = {uuid4(): run for run in gone[:absent]}
    found = remedies(Look(before | buried), Look(after | buried | new))
    assert set(found.flow_runs) == {one for one, run in buried.items() if not run.is_final}
    assert found.task_runs == {one: run.open_tasks for one, run in buried.items()}


@given(st.integers(0, 5), st.sets(st.uuids(), max_size=5))
def test_a_slot_that_a_flow_run_has_is_never_freed(taken: int, holders: set[UUID]) -> None:
    look = Look(limits={"nightly": SeenLimit(taken, frozenset(holders))})
    for limit in remedies(look, look).limits.values():
        assert len(limit.holders) == len(holders) < limit.taken


class Heard:
    """Heartbeats of some flow runs, each second, as their processes elsewhere would send them."""

    def __init__(self, api: str, flow_runs: Iterable[FlowRun]) -> None:
        self._api, self._flow_runs = api, list(flow_runs)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def once(self, flow_run: FlowRun) -> None:
        flow = {
            "prefect.resource.id": f"prefect.flow.{flow_run['flow_id']}",
            "prefect.resource.role": "flow", "prefect.resource.name": ELSEWHERE,
        }  # fmt: skip
        event = {
            "id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": HEARTBEAT,
            "resource": {"prefect.resource.id": f"prefect.flow-run.{flow_run['id']}"},
            "related": [flow], "payload": {},
        }  # fmt: skip
        asked(f"{self._api}/events", [event])

    def _beat(self) -> None:
        while not self._ended.wait(1.0):
            for flow_run in self._flow_runs:
                self.once(flow_run)

    def __enter__(self) -> Heard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def is_heard_of(api: str, flow_run: FlowRun) -> bool:
    """Whether the server has a heartbeat of a flow run."""
    of = {
        "event": {"name": [HEARTBEAT]},
        "resource": {"id": [f"prefect.flow-run.{flow_run['id']}"]},
    }
    return bool(asked(f"{api}/events/filter", {"filter": of})["events"])


ELSEWHERE = "of another machine"


def running_elsewhere(api: str) -> FlowRun:
    """A flow run of a flow that is on no machine here."""
    flow = ask(api, "flows/", {"name": ELSEWHERE})["id"]
    made: FlowRun = ask(api, "flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}})
    return made


def state_of(api: str, flow_run: FlowRun) -> str:
    name: str = asked(f"{api}/flow_runs/{flow_run['id']}")["state_name"]
    return name


@pytest.mark.slow
def test_of_killed_runs_and_live_ones_on_a_real_server_the_killed_ones_are_put_right(
    tmp_path: Path, each_api: str
) -> None:
    assert watch_for_silence(each_api, 10.0, (ELSEWHERE,))
    assert not watch_for_silence(each_api, 10.0, (ELSEWHERE,)), "it is there"
    silent, beating = running_elsewhere(each_api), running_elsewhere(each_api)
    (tmp_path / "killed").mkdir()
    with started(each_api, config_of(tmp_path / "killed", "killed-to-tidy")) as killed:
        (silenced,) = flow_runs(each_api, "killed-to-tidy")
        # Of a run elsewhere that was never heard of nobody knows whether it is silent.
        wait_for(lambda: is_heard_of(each_api, silenced))
        killed.kill()
        killed.wait()
    with started(each_api, config_of(tmp_path, "alive-to-tidy")) as alive:
        (live,), (dead,) = (
            flow_runs(each_api, name) for name in ("alive-to-tidy", "killed-to-tidy")
        )
        for one in (live, dead):
            label(each_api, one, "pacore.host", "another-host")
        # However slow this machine is, it has not ended when it is looked at.
        alive.send_signal(signal.SIGSTOP)
        with Heard(each_api, [live, beating]) as heard:
            heard.once(silent)
            assert tidied(each_api, silent_seconds=12)["flow run"] >= 1
            assert state_of(each_api, live) == "Running"
            assert "RUNNING" in task_states(each_api, live)
            assert state_of(each_api, dead) == "Crashed"
            assert not {"RUNNING", "PENDING"} & task_states(each_api, dead)
            alive.send_signal(signal.SIGCONT)
            assert alive.wait(timeout=120) == 0
            assert state_of(each_api, live) == "Completed"
            wait_for(lambda: state_of(each_api, silent) == "Crashed")
            assert state_of(each_api, beating) == "Running"

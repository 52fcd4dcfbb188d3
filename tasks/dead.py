"""Flow runs that say Running and are dead, wherever they were: found by two looks at Prefect's records.

Nobody tells Prefect that a machine is gone. What lives shows between two looks: its process runs here, or
it sends a heartbeat, or its state is another one. So no clock decides, of which every machine has its own.
Only Prefect's records depend on it, never a table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType, TaskRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.events.actions import ChangeFlowRunState
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventResourceFilter,
)
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Crashed

from tasks.takeover import BEGUN, PAGE, is_gone

_T = TypeVar("_T")

FLOWS = ("infer", "evaluate", "sweep", "nightly", "training-data", "values")

OURS = FlowFilter(name=FlowFilterName(any_=list(FLOWS)))

SILENT_SECONDS = 600.0
"""How long nothing is heard of a dead flow run: three times what Prefect has between two heartbeats."""

HEARTBEAT = "prefect.flow-run.heartbeat"

HOLDING = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
"""States in which a flow run has a slot of its deployment."""

NAME = "pacore: runs that nothing is heard of"

SILENT = (
    "nothing was heard of it for {minutes:g} minutes; what was finished is kept, and Retry goes on"
)


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A flow run as it is seen at one look.

    ``state_id`` is another one after each change. ``is_gone`` says whether its process has ended, None
    where this machine cannot know. ``heartbeat`` is the last one of it, None if there was none, and
    ``open_tasks`` are its task runs that say Pending or Running.
    """

    name: str
    state: StateType
    state_id: UUID
    is_gone: bool | None
    heartbeat: UUID | None
    open_tasks: frozenset[UUID] = frozenset()

    @property
    def is_final(self) -> bool:
        return self.state in TERMINAL_STATES


@dataclass(frozen=True, slots=True)
class SeenLimit:
    """Slots of a deployment that are taken, and the flow runs that may have one."""

    taken: int
    holders: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look finds that may have to be put right: flow runs by id, limits by name."""

    runs: Mapping[UUID, SeenRun] = field(default_factory=dict)
    limits: Mapping[str, SeenLimit] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.runs or self.limits)


class Remedies(NamedTuple):
    """What is to be done: flow runs that are dead, task runs that flow runs left, by these, and limits with
    slots that nobody has.
    """

    flow_runs: Mapping[UUID, SeenRun]
    task_runs: Mapping[UUID, frozenset[UUID]]
    limits: Mapping[str, SeenLimit]


def remedies(before: Look, after: Look) -> Remedies:
    """What two looks agree on, `SILENT_SECONDS` apart. Nothing that lives is among it."""
    dead = {
        run_id: run
        for run_id, run in after.runs.items()
        if run_id in before.runs and is_dead(before.runs[run_id], run)
    }
    return Remedies(
        {run_id: run for run_id, run in dead.items() if not run.is_final},
        {
            run_id: left
            for run_id, run in dead.items()
            if (left := run.open_tasks & before.runs[run_id].open_tasks)
        },
        {
            name: limit
            for name, limit in after.limits.items()
            if before.limits.get(name) == limit and limit.taken > len(limit.holders)
        },
    )


def is_dead(before: SeenRun, after: SeenRun) -> bool:
    """Whether nobody works on a flow run, by two looks at it.

    One that has never sent a heartbeat, from a machine that is not this one, may be alive.
    """
    if before.state_id != after.state_id:
        return False
    if after.is_gone is not None:
        return after.is_gone
    return before.heartbeat == after.heartbeat and (after.is_final or after.heartbeat is not None)


def look() -> Look:
    """What may have to be put right, as of now. Raises what Prefect's client does."""
    with get_client(sync_client=True) as client:
        open_tasks: dict[UUID, set[UUID]] = defaultdict(set)
        for task_run in _open_task_runs(client):
            if task_run.flow_run_id is not None:
                open_tasks[task_run.flow_run_id].add(task_run.id)
        found = [*_flow_runs(client, _in_state(BEGUN)), *_by_ids(client, list(open_tasks))]
        runs = {}
        for flow_run in found:
            gone = is_gone(flow_run)
            if flow_run.state is not None and gone is not False:
                runs[flow_run.id] = SeenRun(
                    flow_run.name,
                    flow_run.state.type,
                    flow_run.state.id,
                    gone,
                    _last_heartbeat(client, flow_run.id),
                    frozenset(open_tasks[flow_run.id]),
                )
        return Look(runs, dict(_limits(client)))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was put right, with what was said of it before and is said now."""

    what: str
    name: str
    id: str
    before: str
    now: str


def put_right(found: Remedies) -> list[Change]:
    """Do what is to be done; a flow run that has come to an end meanwhile is left as it is."""
    message = SILENT.format(minutes=SILENT_SECONDS / 60)
    done = []
    with get_client(sync_client=True) as client:
        for flow_run_id, run in found.flow_runs.items():
            end: State[Any] = (Cancelled if run.state is StateType.CANCELLING else Crashed)(
                message=message
            )
            if client.set_flow_run_state(flow_run_id, end).status is SetStateStatus.ACCEPT:
                states = (run.state.value.capitalize(), str(end.name))
                done.append(Change("flow run", run.name, str(flow_run_id), *states))
        for flow_run_id, left in found.task_runs.items():
            for task_run_id in sorted(left):
                task_run = client.read_task_run(task_run_id)
                if task_run.state is None or task_run.state.is_final():
                    continue
                crashed: State[Any] = Crashed(message=f"flow run {flow_run_id} ended without it")
                client.set_task_run_state(task_run_id, crashed, force=True)
                states = (str(task_run.state.name), "Crashed")
                done.append(Change("task run", task_run.name, str(task_run_id), *states))
        for name, seen in found.limits.items():
            limit = client.read_global_concurrency_limit_by_name(name)
            if limit.active_slots != seen.taken:
                continue
            update = GlobalConcurrencyLimitUpdate(active_slots=len(seen.holders))
            client.update_global_concurrency_limit(name, update)
            states = (f"{seen.taken} taken", f"{len(seen.holders)} taken")
            done.append(Change("slots", name, str(limit.id), *states))
    return done


def watch_for_silence(
    api: str, silent_seconds: float = SILENT_SECONDS, flows: tuple[str, ...] = FLOWS
) -> bool:
    """Have the server of ``api`` set flow runs to Crashed that were heard of and are not any more.

    Returns whether the automation had to be made; one that is there is left as it is.
    """
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        name = NAME if flows == FLOWS else f"{NAME}: {', '.join(flows)}"
        if client.read_automations_by_name(name):
            return False
        Automation(
            name=name,
            description="Made by `pacore up`.",
            trigger=EventTrigger(
                after={HEARTBEAT},
                expect={"prefect.flow-run.*"},
                match_related={
                    "prefect.resource.role": "flow",
                    "prefect.resource.name": list(flows),
                },
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=silent_seconds),
            ),
            actions=[
                ChangeFlowRunState(
                    name=None,
                    state=StateType.CRASHED,
                    force=False,
                    message=SILENT.format(minutes=silent_seconds / 60),
                )
            ],
        ).create()
        return True


def _in_state(types: list[StateType]) -> FlowRunFilter:
    return FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types), name=None)
    )


def _paged(read: Callable[[int], list[_T]]) -> Iterator[_T]:
    """All that ``read`` returns, page after page, by the offset of each."""
    offset = 0
    while page := read(offset):
        yield from page
        offset += len(page)


def _flow_runs(client: SyncPrefectClient, chosen: FlowRunFilter) -> Iterator[FlowRun]:
    return _paged(
        lambda offset: client.read_flow_runs(
            flow_filter=OURS, flow_run_filter=chosen, limit=PAGE, offset=offset
        )
    )


def _by_ids(client: SyncPrefectClient, ids: list[UUID]) -> Iterator[FlowRun]:
    for start in range(0, len(ids), PAGE):
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=ids[start : start + PAGE]))
        yield from _flow_runs(client, chosen)


def _open_task_runs(client: SyncPrefectClient) -> Iterator[TaskRun]:
    """Task runs that say Pending or Running; not NotReady, as one whose input failed says for good."""
    is_open = TaskRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING])
    found = _paged(
        lambda offset: client.read_task_runs(
            flow_filter=OURS,
            flow_run_filter=_in_state([*TERMINAL_STATES, *BEGUN]),
            task_run_filter=TaskRunFilter(state=TaskRunFilterState(type=is_open, name=None)),
            limit=PAGE,
            offset=offset,
        )
    )
    return (one for one in found if one.state is not None and one.state.name != "NotReady")


def _last_heartbeat(client: SyncPrefectClient, flow_run_id: UUID) -> UUID | None:
    """The last heartbeat of a flow run; whatever time it is anywhere, all that there are count."""
    now = datetime.now(UTC)
    chosen = EventFilter(
        occurred=EventOccurredFilter.model_validate(
            {"since": now - timedelta(days=3650), "until": now + timedelta(days=3650)}
        ),
        event=EventNameFilter(name=[HEARTBEAT]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{flow_run_id}"]),
    )
    found = client.read_events(chosen, limit=1).events
    return found[0].id if found else None


def _limits(client: SyncPrefectClient) -> Iterator[tuple[str, SeenLimit]]:
    """Limits of deployments that have more slots taken than there are flow runs that can have taken one."""
    for deployment in client.read_deployments(flow_filter=OURS):
        limit = deployment.global_concurrency_limit
        if limit is None or not limit.active_slots:
            continue
        holders = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
            flow_run_filter=_in_state(HOLDING),
            limit=PAGE,
        )
        if limit.active_slots > len(holders):
            yield limit.name, SeenLimit(limit.active_slots, frozenset(one.id for one in holders))

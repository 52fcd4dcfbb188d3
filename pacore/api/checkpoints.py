"""Models that are followed through their training, by their runs; and two of them crossed between
rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from pacore.api.report import Report
from pacore.api.runs import make_to_end
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Refused
from pacore.evaluation.checkpoints.crossing import Crossing, crossed_problems, measure_crossing
from pacore.evaluation.checkpoints.dynamics import (
    CheckpointRound,
    checkpoint_of,
    measure_checkpoints,
)
from pacore.evaluation.interventions import edited_round, refuse_no_synthesis
from pacore.report.ledgers.checkpoints import (
    checkpoints_figure,
    checkpoints_sheet,
    crossing_sheet,
)
from pacore.runs.derived import derived_config, put_problems
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, open_run
from pacore.warehouse.views import ReportWarehouse, Warehouse


def checkpoints(
    runs: Sequence[str], *, store: str = "./store"
) -> Report[Sequence[CheckpointRound]]:
    """What successive checkpoints make of messages, from a run of each, in their order.

    Raises Refused for an unknown run, and for one without messages in its prompts or verdicts on them.
    """
    opened = open_store(store)
    opened_runs = [open_run(opened, run_id) for run_id in dict.fromkeys(runs)]
    names = _names(opened_runs)
    with ReportWarehouse(opened, list(names)) as warehouse:
        found = measure_checkpoints(warehouse, opened_runs, names)
    return Report(found, [checkpoints_sheet(found)], lambda: checkpoints_figure(found))


def _names(runs: Sequence[Run]) -> dict[str, str]:
    """The checkpoint of each run by its id; of one that several have the run's own id."""
    names = {run.run_id: checkpoint_of(run) for run in runs}
    counted = Counter(names.values())
    return {run_id: name if counted[name] == 1 else run_id for run_id, name in names.items()}


def cross(
    before: str,
    after: str,
    round_: int,
    *,
    store: str = "./store",
    samples: int = 1,
    **changes: object,
) -> Report[Crossing]:
    """Sample a round of each of two graded runs again with the model of the other, on the same messages.

    So there are messages by each and synthesis by each; ``samples`` trajectories are drawn of each message
    set. ``changes`` are fields of the derived runs which differ, such as ``concurrency``. What is stored is
    not generated again. Raises Refused for a run that is not graded, a round that is no synthesis, and
    where nothing can be sampled; BadInput for a field that is wrong; Interrupted where it was cancelled:
    the same call goes on.
    """
    if before == after:
        raise BadInput(f"{before}: is crossed with itself; name two runs")
    opened = open_store(store)
    runs = [open_run(opened, run_id) for run_id in (before, after)]
    for run in runs:
        refuse_no_synthesis(run, round_)
    names = _names(runs)
    run_of = {(names[before], names[before]): before, (names[after], names[after]): after}
    for run, other in (runs, runs[::-1]):
        run_id = _crossed(opened, run, other, round_, samples, changes)
        run_of[names[run.run_id], names[other.run_id]] = run_id
    with ReportWarehouse(opened, list(run_of.values())) as warehouse:
        found = measure_crossing(warehouse, round_, (names[before], names[after]), run_of)
    records = {**asdict(found), "runs": {" / ".join(place): run for place, run in run_of.items()}}
    return Report(found, [crossing_sheet(found)], records=records)


def _crossed(
    store: Backend, run: Run, other: Run, round_: int, samples: int, changes: dict[str, object]
) -> str:
    """Make the run of a round of one run by the model of another; returns its name."""
    recipe = resolve_recipe(derived_config(store, other, "probe", samples, changes))
    with Warehouse(store, [run.run_id]) as warehouse:
        place = edited_round(warehouse, run, round_, samples, recipe)
        name = f"{run.run_id}.{place.batch}-crossed"
        problems = crossed_problems(store, warehouse, place)
        if put_problems(store, problems, lambda _: name) is None:
            raise Refused(f"run {run.run_id}: round {round_} has no message set that rules grade")
    make_to_end(derived_config(store, other, name, samples, changes))
    return name

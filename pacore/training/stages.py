"""The stages of a training set: what each reads, decides, and leaves to be run next.

``prepare_training`` reads the sources, filters them, and freezes the problems that are left; where there is
a judge, ``pacore.training.validity`` leaves those that it finds valid. The pool is run and graded like any
run. ``conclude_stage1`` decides by the accuracy of each pool. ``put_synthesis``
makes the prompts P(x, M) of the problems that it kept, which a checkpoint answers in a run of its own, and
``conclude_stage2`` decides by that. Everything random follows from content, so a stage that is done again
is the same.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple

from pydantic import JsonValue

from pacore.core.config.run import RunConfig, differences
from pacore.core.config.training import Synthesis, TrainingConfig, kind_by_grader
from pacore.core.grading.choose import choose_grader
from pacore.core.identity import digest
from pacore.core.plan import Shard
from pacore.core.problem import Problem
from pacore.core.prompt import turns_for
from pacore.core.recipe import Recipe
from pacore.engine.opening import resolve_recipe
from pacore.errors import Refused
from pacore.runs.derived import put_problems
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_units
from pacore.store.layout import derived_key
from pacore.store.run import open_run, problems_of
from pacore.store.schema import TrainingDecision
from pacore.store.training import (
    SOURCE_FIELD,
    SYNTHESIS_FIELD,
    DecisionFile,
    TrainingRecord,
    find_training,
    kept_problems,
    put_training,
    write_decisions,
)
from pacore.training.bands import (
    Band,
    BandJudge,
    BandVerdict,
    Rate,
    band_of,
    band_of_synthesis,
    looks_of,
)
from pacore.training.examples import PooledMessage, TrainingExample, examples_of
from pacore.training.filters import filtered, source_record
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse

TOO_FEW = "too few messages"

MESSAGE_SETS = "message-sets/1"
"""Counts on when other message sets follow from the same pools."""


@dataclass(frozen=True, slots=True)
class PoolRate(ReportRow):
    """How many trajectories of a problem have a score, and how many are right."""

    QUERY: ClassVar[str] = "training/rates"

    problem_id: str
    observed: int
    correct: int


def prepare_training(
    store: Backend, config: TrainingConfig, on_source: Callable[[str], None] = lambda _: None
) -> TrainingRecord:
    """Read and filter the sources, once; what they gave then is what a training set of the name has.

    Raises Refused for a name whose sources or filters are others, and where no problem is left; BadInput
    for a source that cannot be read, and for a model of the pool that cannot be.
    """
    if (known := find_training(store, config.name)) is not None:
        if changed := differences(known.identity, config.identity):
            raise Refused(
                f"training set {config.name} exists with other sources or filters: "
                f"{'; '.join(changed[:3])}; take another name, and what was generated is reused"
            )
        return known
    pool = config.pool_run(store.uri(derived_key(f"{config.name}.pool")))
    run_id, recipe, reasons = str(pool.run_id), resolve_recipe(pool), Counter[str]()

    with DecisionFile(store, config.name, "filters") as file:

        def kept() -> Iterator[Problem]:
            for one in filtered(config.name, config.sources, config.filters, on_source):
                named = (one.source, one.problem_id, one.problem is not None)
                why = (one.reason, one.detail, one.kind)
                file.add(TrainingDecision(config.name, "filters", *named, *why))
                if one.problem is not None:
                    yield one.problem
                else:
                    reasons[str(one.reason)] += 1

        left = f"{config.name}.filtered" if config.judge else run_id
        if put_problems(store, kept(), lambda _: left) is None:
            said = ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common())
            raise Refused(f"training set {config.name}: the filters leave no problem: {said}")
        key = file.publish()
    record = TrainingRecord(
        name=config.name,
        written_at=datetime.now(UTC),
        identity=config.identity,
        sources=tuple(source_record(source) for source in config.sources),
        filters=config.filters.model_dump(mode="json") | config.judged_by,
        problem_set=derived_key(left),
        pool_run=run_id,
        pool_size=config.pool,
        bands=config.bands.model_dump(mode="json"),
        decisions={"filters": key},
        recipes={"pool": recipe.as_json()},
    )
    return put_training(store, record)


class PooledProblem(NamedTuple):
    """A problem of a pool by its name, source and kind, with its rate."""

    problem_id: str
    source: str
    kind: str
    rate: Rate


class PoolRates:
    """The rates of the pools of a training set, from its graded runs.

    ``overrides`` has those of problems that were drawn further, with all their trajectories.
    """

    def __init__(self, store: Backend, record: TrainingRecord) -> None:
        self.overrides: dict[str, Rate] = {}
        self._store, self._record = store, record

    def add(self, run_id: str) -> None:
        """Take the rates of the problems of a further run in place of those they have."""
        self.overrides |= {one.problem_id: one.rate for one in _rates(self._store, run_id)}

    def __iter__(self) -> Iterator[PooledProblem]:
        for one in _rates(self._store, self._record.pool_run):
            yield one._replace(rate=self.overrides.get(one.problem_id, one.rate))


def _rates(store: Backend, run_id: str) -> Iterator[PooledProblem]:
    """Each problem of a graded run of single trajectories, by id; both sides are read in that order."""
    run = open_run(store, run_id)
    with Warehouse(store, [run_id]) as warehouse:
        rows = warehouse.each(PoolRate, run_id=run_id)
        row = next(rows, None)
        for problem in problems_of(store, run, Shard(0, 0, run.problems)):
            name, right, observed = problem.problem_id, 0, 0
            if row is not None and row.problem_id == name:
                right, observed, row = row.correct, row.observed, next(rows, None)
            kind = kind_by_grader(choose_grader(problem))
            yield PooledProblem(
                name, source_of(problem), kind, Rate(right, observed, run.plan.replicates)
            )


def source_of(problem: Problem) -> str:
    """The source of a problem of a training set."""
    origin = problem.metadata.get(SOURCE_FIELD)
    return str(origin.get("source", "")) if isinstance(origin, dict) else ""


def put_further(
    store: Backend, config: TrainingConfig, rates: PoolRates, record: TrainingRecord, draws: int
) -> RunConfig | None:
    """The run of ``draws`` trajectories of every problem whose interval still straddles its bound; None
    where no problem does.
    """
    bands = _bands(config)
    wanted = {
        one.problem_id
        for one in rates
        if not bands[one.kind].is_unobserved(one.rate) and bands[one.kind].straddles(one.rate)
    }
    if not wanted:
        return None
    label = digest(sorted(wanted))[:8]
    planned = config.further_run(label, draws)
    run = open_run(store, record.pool_run)
    problems = problems_of(store, run, Shard(0, 0, run.problems))
    some = (problem for problem in problems if problem.problem_id in wanted)
    run_id = put_problems(store, some, lambda _: str(planned.run_id))
    assert run_id is not None
    return planned.model_copy(update={"problems": store.uri(derived_key(run_id))})


def conclude_stage1(
    store: Backend,
    config: TrainingConfig,
    record: TrainingRecord,
    rates: PoolRates,
    further: Sequence[str] = (),
) -> TrainingRecord:
    """Decide which problems are kept for the accuracy of their pools; ``further`` are the runs of more
    draws. What a stage 2 decided before stands where stage 1 is the same.
    """
    counts: defaultdict[str, Counter[Rate]] = defaultdict(Counter)
    for one in rates:
        counts[one.kind][one.rate] += 1
    judges = {kind: BandJudge(band, counts[kind]) for kind, band in _bands(config).items()}
    decisions = (
        _decision(record, "stage1", one, judges[one.kind].of(one.rate), config.bands.policy)
        for one in rates
    )
    key = write_decisions(store, record.name, "stage1", decisions)
    recipe = open_run(store, record.pool_run).recipe.as_json()
    concluded = replace(
        record,
        written_at=datetime.now(UTC),
        bands=config.bands.model_dump(mode="json"),
        further_runs=tuple(further),
        recipes={**record.recipes, "pool": recipe},
        decisions={**record.decisions, "stage1": key},
    )
    if record.decisions.get("stage1") != key:
        concluded = replace(
            concluded,
            decisions={k: v for k, v in concluded.decisions.items() if k != "stage2"},
            recipes={k: v for k, v in concluded.recipes.items() if k != "synthesis"},
            synthesis_run=None,
            checkpoint=None,
        )
    return put_training(store, concluded)


def put_synthesis(
    store: Backend, config: TrainingConfig, record: TrainingRecord
) -> RunConfig | None:
    """The run of the synthesis of the problems that stage 1 kept; None where no message set can be drawn.

    Its name follows from the checkpoint, the problems and the pools: another checkpoint is another run, and
    so are pools in which a retry has replaced trajectories.
    """
    synthesis = config.synthesis
    assert synthesis is not None
    kept = kept_problems(store, record.name, "stage1")
    recipe = resolve_recipe(config.synthesis_run(""))
    replaced = sorted(
        unit.name for unit in current_units(store, record.pool_run, "trajectories") if unit.revision
    )
    named = [recipe.as_json(), synthesis.sets, synthesis.draws, synthesis.sizes(config.pool)]
    label = digest([MESSAGE_SETS, *named, record.pool_run, replaced, kept])[:8]
    planned = config.synthesis_run(label)
    key = derived_key(str(planned.run_id))
    if not store.exists(key):
        problems = (
            problem
            for example in examples_of(store, record.pool_run, kept)
            for problem in synthesis_problems(example, record.pool_run, synthesis, config.pool)
        )
        if not kept or put_problems(store, problems, lambda _: str(planned.run_id)) is None:
            return None
    return planned.model_copy(update={"problems": store.uri(key)})


def synthesis_problems(
    example: TrainingExample, pool_run: str, synthesis: Synthesis, pool: int
) -> Iterator[Problem]:
    """A problem for each message set of an example, M drawn by the content of its pool (section 2.2).

    None where its pool has fewer messages than a set takes at least.
    """
    problem = example.problem
    messages = sorted(example.messages, key=lambda message: message.trajectory_id)
    least, most = synthesis.sizes(pool)
    if len(messages) < least:
        return
    for number in range(synthesis.sets):
        drawn = _message_set(messages, number, least, min(most, len(messages)))
        ids: list[JsonValue] = [message.trajectory_id for message in drawn]
        made_of: dict[str, JsonValue] = {
            "run_id": pool_run,
            "problem_id": problem.problem_id,
            "set": number,
            "messages": ids,
            "right": sum(message.score == 1 for message in drawn),
        }
        yield Problem(
            f"{problem.problem_id}~{number}",
            turns_for(problem.turns, [str(message.text) for message in drawn]),
            problem.gold,
            problem.grader or choose_grader(problem),
            {**_origin(problem), SYNTHESIS_FIELD: made_of},
        )


def _origin(problem: Problem) -> dict[str, JsonValue]:
    return {SOURCE_FIELD: problem.metadata.get(SOURCE_FIELD)}


def _message_set(
    messages: Sequence[PooledMessage], number: int, least: int, most: int
) -> list[PooledMessage]:
    """The ``number``-th message set of a pool, its size uniform from ``least`` to ``most``."""
    ids = [message.trajectory_id for message in messages]
    drawn = random.Random(digest([MESSAGE_SETS, ids, number]))
    return drawn.sample(list(messages), drawn.randint(least, most))


def conclude_stage2(
    store: Backend, config: TrainingConfig, record: TrainingRecord, run_id: str | None
) -> TrainingRecord:
    """Decide which of the problems that stage 1 kept are kept for the accuracy of their synthesis.

    A problem without a message set is not, and that its pool has too few messages is the reason.
    """
    assert config.synthesis is not None
    right, observed, asked = Counter[str](), Counter[str](), set[str]()
    if run_id is not None:
        run = open_run(store, run_id)
        problems = problems_of(store, run, Shard(0, 0, run.problems))
        asked = {problem.problem_id.rpartition("~")[0] for problem in problems}
        with Warehouse(store, [run_id]) as warehouse:
            for row in warehouse.each(PoolRate, run_id=run_id):
                name = row.problem_id.rpartition("~")[0]
                right[name] += row.correct
                observed[name] += row.observed
    drawn = config.synthesis.sets * config.synthesis.draws
    rates = {
        name: Rate(right[name], observed[name], drawn, config.synthesis.draws)
        for name in kept_problems(store, record.name, "stage1")
    }
    judge = BandJudge(band_of_synthesis(config.bands), Counter(rates.values()))
    sources = _sources(store, record, rates)
    lacking = f"its pool has fewer than {config.synthesis.sizes(config.pool)[0]}"

    def decided(name: str, rate: Rate) -> TrainingDecision:
        pooled = PooledProblem(name, *sources[name], rate)
        found = _decision(record, "stage2", pooled, judge.of(rate), None)
        return found if name in asked else replace(found, reason=TOO_FEW, detail=lacking)

    key = write_decisions(
        store,
        record.name,
        "stage2",
        (decided(name, rate) for name, rate in rates.items()),
    )
    recipe = (
        resolve_recipe(config.synthesis_run(""))
        if run_id is None
        else open_run(store, run_id).recipe
    )
    concluded = replace(
        record,
        written_at=datetime.now(UTC),
        decisions={**record.decisions, "stage2": key},
        recipes={**record.recipes, "synthesis": recipe.as_json()},
        synthesis_run=run_id,
        checkpoint=synthesis_checkpoint(recipe),
    )
    return put_training(store, concluded)


def synthesis_checkpoint(recipe: Recipe) -> str:
    """The model of the synthesis, with the beginning of its revision where that is known."""
    revision = "" if recipe.revision is None else f"@{recipe.revision[:12]}"
    return f"{recipe.model}{revision}"


def _sources(
    store: Backend, record: TrainingRecord, wanted: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """The source and the kind of some problems."""
    run = open_run(store, record.pool_run)
    return {
        problem.problem_id: (source_of(problem), kind_by_grader(choose_grader(problem)))
        for problem in problems_of(store, run, Shard(0, 0, run.problems))
        if problem.problem_id in wanted
    }


def _bands(config: TrainingConfig) -> dict[str, Band]:
    looks = len(looks_of(config))
    return {kind: band_of(config.bands, kind, looks) for kind in ("math", "code")}


def _decision(
    record: TrainingRecord, stage: str, one: PooledProblem, judged: BandVerdict, policy: str | None
) -> TrainingDecision:
    return TrainingDecision(
        record.name, stage, one.source, one.problem_id, judged.reason is None,
        kind=one.kind, right=one.rate.right, observed=one.rate.observed, drawn=one.rate.drawn,
        policy=policy, **judged._asdict(),
    )  # fmt: skip

"""Where an answer comes from: its lineage, backwards, with the prompts as they were sent.

answer ← last trajectory ← the messages it saw ← their trajectories ← …, each with its identity and
the files it is in. Prompts are rendered again from the messages and compared with the digests that
the trajectories have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from pacore.audit.derive import Prompts, recipe_of_attempt
from pacore.audit.files import problem_rows, table_rows
from pacore.core.problem import Problem, Turn, no_such_problem, possible_ids
from pacore.core.round import RoundPrompt
from pacore.errors import BadInput
from pacore.store.backends.protocol import Backend
from pacore.store.commits import Commit, current_units, read_commits
from pacore.store.journal import Journal
from pacore.store.layout import commit_key, journal_key
from pacore.store.rows import Stored, StoredAnswer, StoredMessage, StoredRow, StoredTrajectory
from pacore.store.run import Run, open_run


@dataclass(frozen=True)
class Source:
    """Where rows are: the data file, and the commit that made it part of its table."""

    file: str
    commit: str


@dataclass(frozen=True)
class AttemptRecord:
    """One attempt at a slot. ``position`` is its message's in the next prompt, None without one.

    ``first_run_id`` is the run that had it generated, None where the journal has no entry of it.
    """

    row: StoredTrajectory
    recipe_digest: str
    journal: str
    first_run_id: str | None
    position: int | None


@dataclass(frozen=True)
class Prompt:
    """What some attempts of a round were sampled from: the turns as sent, byte for byte.

    ``digest`` is the one stored, ``rendered_digest`` that of ``turns``; ``saw`` are the messages in
    it in their order, as (trajectory id, slot of the round before). For slots that the plan does not
    have, nothing can be rendered.
    """

    digest: str
    rendered_digest: str | None
    turns: tuple[Turn, ...]
    saw: Sequence[tuple[str, int | None]]
    attempts: Sequence[AttemptRecord]


@dataclass(frozen=True)
class RoundStep:
    """One round of a lineage, and where its rows are; ``messages`` None before it is compacted."""

    round: int
    trajectories: Source
    messages: Source | None
    prompts: Sequence[Prompt]


@dataclass(frozen=True)
class Lineage:
    """One replicate, from its answer (None before there is one) back to round 1."""

    replicate: int
    answer: StoredAnswer | None
    answer_source: Source | None
    final_text: str | None
    rounds: Sequence[RoundStep]


@dataclass(frozen=True)
class Explanation:
    """One problem of a run, with a lineage for each requested replicate."""

    run: Run
    problem: Problem
    shard: str
    lineages: Sequence[Lineage]


def explain(
    store: Backend,
    run_id: str,
    problem_id: str,
    replicate: int | None = None,
    round_: int | None = None,
) -> Explanation:
    """The lineage of a problem, of one replicate and round or of all.

    Raises Refused for an unknown run, BadInput for an unknown problem, replicate or round,
    StoreError for files that cannot be read.
    """
    run = open_run(store, run_id)
    if replicate is not None and not 0 <= replicate < run.plan.replicates:
        raise BadInput(f"--replicate {replicate}: the run has 0 to {run.plan.replicates - 1}")
    if round_ is not None and not 1 <= round_ <= run.plan.rounds:
        raise BadInput(f"--round {round_}: the run has 1 to {run.plan.rounds}")
    number, problem = _problem(store, run, problem_id)
    shard = next(shard.name for shard in run.shards if shard.start <= number < shard.stop)
    chosen = range(run.plan.replicates) if replicate is None else [replicate]
    rows = _ProblemRows(store, run, problem, shard)
    lineages = [rows.lineage(one, round_) for one in chosen]
    return Explanation(run, problem, shard, lineages)


def _problem(store: Backend, run: Run, problem_id: str) -> tuple[int, Problem]:
    """The number of a problem in its set, and the problem, by its id or its name in its file."""
    known = []
    wanted = possible_ids(problem_id)
    found = {}
    with store.local_path(run.problem_set) as path:
        for row in problem_rows(path, run.problem_set):
            if row.problem_id in wanted:
                found[row.problem_id] = row
            known.append(row.problem_id)
    for one in wanted:
        if one in found:
            return found[one].number, found[one].problem
    raise BadInput(no_such_problem(run.run_id, problem_id, known))


class _ProblemRows:
    """The rows of one problem, read from the files of its shard, and the lineages they make up."""

    def __init__(self, store: Backend, run: Run, problem: Problem, shard: str) -> None:
        self._run = run
        self._problem = problem
        self._journal = Journal(store)
        self._sources: dict[tuple[str, int], Source] = {}
        self._rows: dict[tuple[type[StoredRow], int], list[Any]] = {}
        kinds = {kind.table.name: kind for kind in (StoredTrajectory, StoredMessage, StoredAnswer)}
        units = current_units(store, run.run_id, *kinds)
        with ExitStack() as stack:
            for commit in read_commits(store, [unit for unit in units if unit.shard == shard]):
                path = stack.enter_context(store.local_path(commit.path))
                self._read(kinds[commit.unit.table], commit, path)

    def _read(self, kind: type[StoredRow], commit: Commit, path: str) -> None:
        unit = commit.unit
        rows = table_rows(kind, path, commit.path, self._problem.problem_id)
        self._rows[kind, unit.round] = list(rows)
        self._sources[unit.table, unit.round] = Source(commit.path, commit_key(unit))

    def _of(self, kind: type[Stored], round_: int, replicate: int) -> list[Stored]:
        rows: list[Stored] = self._rows.get((kind, round_), [])
        return [row for row in rows if row.replicate == replicate]

    def lineage(self, replicate: int, round_: int | None) -> Lineage:
        last = self._run.plan.rounds
        answers = self._of(StoredAnswer, last, replicate)
        final = self._of(StoredMessage, last, replicate)
        wanted = range(last, 0, -1) if round_ is None else [round_]
        return Lineage(
            replicate=replicate,
            answer=answers[0] if answers else None,
            answer_source=self._sources.get(("answers", last)),
            final_text=final[0].text if final else None,
            rounds=[step for number in wanted for step in self._round(number, replicate)],
        )

    def _round(self, round_: int, replicate: int) -> Iterator[RoundStep]:
        """The step of a round, if the replicate came that far."""
        rows = self._of(StoredTrajectory, round_, replicate)
        if not rows:
            return
        before = self._of(StoredMessage, round_ - 1, replicate)
        texts = [message.text for message in before]
        prompts = Prompts(self._run, self._problem, (round_, replicate), texts)
        groups: dict[tuple[Any, ...], list[StoredTrajectory]] = {}
        for row in rows:
            prompt = prompts.of(row)
            shown = prompt and (prompt.view, prompt.prompt_messages)
            groups.setdefault((row.prompt_digest, shown), []).append(row)
        yield RoundStep(
            round=round_,
            trajectories=self._sources["trajectories", round_],
            messages=self._sources.get(("messages", round_)),
            prompts=[
                self._prompt((round_, replicate), prompts.of(group[0]), group)
                for group in groups.values()
            ],
        )

    def _prompt(
        self, place: tuple[int, int], prompt: RoundPrompt | None, rows: Sequence[StoredTrajectory]
    ) -> Prompt:
        """A prompt with the attempts drawn from it, at ``place`` = (round, replicate)."""
        round_, replicate = place
        before = self._of(StoredMessage, round_ - 1, replicate)
        earlier = self._of(StoredTrajectory, round_ - 1, replicate)
        slots = {row.trajectory_id: row.slot for row in earlier}
        seen = prompt.shown(before) if prompt else ()
        return Prompt(
            digest=rows[0].prompt_digest,
            rendered_digest=prompt.digest if prompt else None,
            turns=prompt.turns if prompt else (),
            saw=[(row.trajectory_id, slots.get(row.trajectory_id)) for row in seen],
            attempts=[self._attempt(round_, replicate, row) for row in rows],
        )

    def _attempt(self, round_: int, replicate: int, row: StoredTrajectory) -> AttemptRecord:
        entry = self._journal.find(row.trajectory_id)
        positions = {
            message.trajectory_id: message.position
            for message in self._of(StoredMessage, round_, replicate)
        }
        return AttemptRecord(
            row=row,
            recipe_digest=recipe_of_attempt(self._run, row).digest,
            journal=journal_key(row.trajectory_id),
            first_run_id=entry.run_id if entry else None,
            position=positions.get(row.trajectory_id),
        )

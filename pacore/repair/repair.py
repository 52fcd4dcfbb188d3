"""Repairing one run, in order: its problem set, the records of its decisions, its tables and gradings, its
snapshots, its end.

Tables are recomputed by the run's own stages, from the journal and from each other; snapshots as far as
they follow from what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, product

from pacore.audit.derive import trajectory_of
from pacore.audit.files import table_rows
from pacore.audit.finding import Tally
from pacore.audit.ledger import Ledger, read_ledger
from pacore.core.config.run import RunConfig
from pacore.core.grading.choose import is_by_rules
from pacore.core.identity import sha256_hex
from pacore.core.plan import Shard
from pacore.core.problem import set_digest
from pacore.core.trajectory import NOT_JOURNALLED
from pacore.errors import BadInput, PacoreError, Refused, StoreError
from pacore.evaluation.gradings import grading_by
from pacore.evaluation.judging import JudgedShard, votes_in
from pacore.problems.files import read_problem_set
from pacore.repair.broken import Broken, Outcome, find_broken
from pacore.repair.decisions import derive_stops, repair_records
from pacore.repair.view import RepairView
from pacore.runs.answers import conclude
from pacore.runs.messages import compact
from pacore.runs.problems import close, open_shards
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import OpenGrading, ShardGrading, UngradedShard, grade
from pacore.runs.work import OpenShard, Work, WorkLimits
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    Draft,
    Snapshot,
    current_among,
    current_commits,
    last_snapshot,
    read_commit,
    snapshot_of,
    snapshot_sequence,
    text_ids,
    write_snapshot,
)
from pacore.store.gradings import GradingRecord, read_gradings
from pacore.store.integrity import damage
from pacore.store.layout import (
    OWN,
    Unit,
    commits_prefix,
    run_key,
    snapshot_key,
)
from pacore.store.records import BadRecord, encode, find, read_many
from pacore.store.rows import StoredTrajectory
from pacore.store.run import (
    Run,
    freeze_problems,
    is_closed,
    list_runs,
    open_run,
    problems_of,
    votes_prefix,
)
from pacore.store.schema import TRAJECTORY_TEXTS


def repair(store: Backend, run_id: str) -> Iterator[Outcome]:
    """Recompute what is missing or damaged of a run; yields each thing when that is done.

    May be stopped and started again. Raises Refused for a run of which nothing is there, or that has
    no record, which alone says what it is.
    """
    run = _open(store, run_id)
    is_whole = True
    for outcome in chain(_problem_set(store, run), _tables(store, run), _snapshots(store, run)):
        is_whole = is_whole and outcome.is_repaired
        yield outcome
    if is_closed(store, run_id):
        write_snapshot(store, run_id)
    elif is_whole and not open_shards(store, run):
        # It had ended, and the record of that is lost.
        close(store, run)


def _open(store: Backend, run_id: str) -> Run:
    try:
        return open_run(store, run_id)
    except Refused:
        if not any(True for _ in store.list(commits_prefix(run_id))):
            raise
        raise Refused(
            f"{run_key(run_id)}: is missing, and nothing else says what the run is; the command that "
            "started it, with its --run-id, writes it again and keeps everything else"
        ) from None


def _problem_set(store: Backend, run: Run) -> Iterator[Outcome]:
    """The frozen problem set, from the file it was made of where that has not changed."""
    key = run.problem_set
    expected = run.identity["problem_set"]
    try:
        found = list(problems_of(store, run, Shard(0, 0, run.problems)))
        if set_digest(found) == expected:
            return
        what = "is damaged"
    except (PacoreError, OSError, ValueError, KeyError, TypeError) as fault:
        what = "is missing" if not store.exists(key) else f"is damaged: {fault}"
    config = run.config
    place = str(config.get("problems"))
    try:
        problems = read_problem_set(place, config.get("limit"), config.get("fields") or {})
    except BadInput as fault:
        yield Outcome(key, f"{what}, and cannot be made again: {fault}", is_repaired=False)
        return
    if set_digest(problems) != expected:
        yield Outcome(key, f"{what}, and {place} holds other problems now", is_repaired=False)
        return
    store.delete(key)
    freeze_problems(store, key.rpartition("/")[2].rpartition("@")[0], problems)
    yield Outcome(key, f"{what}: made again from {place}", is_repaired=True)


def _tables(store: Backend, run: Run) -> Iterator[Outcome]:
    broken = find_broken(store, run)
    yield from repair_records(store, run, broken)
    if not broken:
        return
    view = RepairView(store, broken)
    gradings = {record.grading.grading_id: record for record in read_gradings(store, run.run_id)}
    with _RepairWork(view, run) as work:
        for one in broken:
            try:
                view.accept(one.unit)
                if one.unit.grading in ("", OWN):
                    work.derive(one)
                elif one.unit.grading in gradings:
                    work.derive_verdicts(one.unit, gradings[one.unit.grading])
                else:
                    raise StoreError(f"no record says what grading {one.unit.grading} is")
            except (StoreError, Refused, BadInput) as fault:
                what = f"{one.what}, and cannot be made again: {fault}"
                yield Outcome(one.key, what, is_repaired=False)
            else:
                yield Outcome(one.key, f"{one.what}: {_made(view, one)}", is_repaired=True)


def _made(view: RepairView, one: Broken) -> str:
    if view.done[one.unit]:
        return "made again, byte for byte"
    return "made again" if one.commit is None else "made again by this version, as a repair of it"


class _RepairWork(Work):
    """A run opened to recompute its tables, over a view of the store; it generates nothing."""

    def __init__(self, store: Backend, run: Run) -> None:
        super().__init__(store, run, _limits(run))
        self.producer = {"repair": True}

    def has_text(self, run_id: str, trajectory_id: str) -> bool:
        """Whether the text files of a run have that of a trajectory; of this run those that are not broken.

        A text that this run has stored is its own, whoever stored it since.
        """
        own = self.run.run_id
        if run_id != own and self.has_text(own, trajectory_id):
            return False
        with self._texts_lock:
            if run_id not in self._texts:
                texts = current_commits(self.store, run_id, "trajectory_texts")
                keys = [commit.path for commit in texts]
                self._texts[run_id] = text_ids(self.store, filter(self.store.exists, keys))
            return trajectory_id in self._texts[run_id]

    def derive(self, one: Broken) -> None:
        """Publish one unit again. Raises StoreError, Refused or BadInput where that cannot be."""
        unit = one.unit
        shard = self.shard(OpenShard(self._number(unit), unit.revision))
        if unit.table == "trajectories":
            fill(shard, unit.round)
        elif unit.table == "stops":
            derive_stops(shard, unit, one.rows)
        elif unit.table == "trajectory_texts":
            _derive_texts(self, unit)
            # A text that is in this file now must not be in a later one.
            self._texts.clear()
        elif unit.table == "messages":
            compact(shard, unit.round)
        elif unit.table == "answers":
            conclude(shard)
        else:
            grade(shard)

    def derive_verdicts(self, unit: Unit, record: GradingRecord) -> None:
        """Publish one unit of a grading again. Raises as `derive`."""
        opened = OpenGrading(self.store, self.run, record)
        work = UngradedShard(self._number(unit), unit.revision, (unit.round,))
        grading = record.grading
        if is_by_rules(grading.grader):
            known = grading_by(self.store, self.run, grading.grader).grader_version
            if known != grading.grader_version:
                raise Refused(
                    f"it was graded by version {grading.grader_version}, and this is {known}; "
                    f"pacore grade {self.run.run_id} --grader {grading.grader} adds a grading by it"
                )
            shard = ShardGrading(opened, work)
            shard.grade(unit.round, shard.by_rules)
        else:
            votes = _votes(self.store, self.run, record)
            judged = JudgedShard(opened, work)
            judged.grade(unit.round, judged.by_judge(votes))

    def _number(self, unit: Unit) -> int:
        return next(shard.number for shard in self.run.shards if shard.name == unit.shard)


def _limits(run: Run) -> WorkLimits:
    """As the run was started."""
    given = {
        name: run.config.get(name, RunConfig.model_fields[name].default)
        for name in ("attempts", "grading_timeout_seconds")
    }
    return WorkLimits(**given)


def _derive_texts(work: _RepairWork, unit: Unit) -> None:
    """The texts of a shard's round that no other file has, by the rows that point at them."""
    source = _pointing(work.store, unit)
    written: set[str] = set()
    with (
        Draft(work.store, unit) as draft,
        work.store.local_path(source.path) as path,
    ):
        for row in table_rows(StoredTrajectory, path, source.path):
            trajectory_id = row.trajectory_id
            is_own = row.text_run_id == work.run.run_id and trajectory_id not in written
            if is_own and not work.has_text(work.run.run_id, trajectory_id):
                if row.finish_reason == "aborted":
                    continue
                entry = work.journal.find(trajectory_id)
                if entry is None and row.finish_reason == "cancelled":
                    # Nothing was sent, and there is no text.
                    continue
                if entry is None and row.finish_reason not in NOT_JOURNALLED:
                    raise StoreError(f"trajectory {trajectory_id} is not in the journal")
                draft.add(TRAJECTORY_TEXTS.row(trajectory_of(unit.round, row, entry)))
                written.add(trajectory_id)
        draft.commit(inputs=source.inputs, producer=work.producer)


def _pointing(store: Backend, unit: Unit) -> Commit:
    """The trajectories whose texts a unit holds: of its own revision, or of a later one."""
    revision = unit.revision
    while True:
        try:
            found = read_commit(store, unit._replace(table="trajectories", revision=revision))
        except KeyError as missing:
            raise StoreError(f"{missing.args[0]}: is not committed") from None
        if damage(store, found.file) is None:
            return found
        revision += 1


def _votes(store: Backend, run: Run, record: GradingRecord) -> dict[str, list[bool | None]]:
    """The votes a judge gave on a run's answers, by question, from the runs that hold them."""
    votes: dict[str, list[bool | None]] = {}
    recipe = record.grading.details.get("recipe")
    for run_id in list_runs(store):
        if run_id.startswith(votes_prefix(run.run_id)):
            judge = open_run(store, run_id)
            if judge.recipe.as_json() == recipe:
                votes |= votes_in(store, run_id)
    if not votes:
        raise Refused(f"the run with the votes of {record.grading.grader} is not in this store")
    return votes


def _snapshots(store: Backend, run: Run) -> Iterator[Outcome]:
    """Write missing and unreadable snapshots again, where their successor has their digest.

    The last one of a closed run is written from the commits.
    """
    run_id = run.run_id
    if not is_closed(store, run_id):
        return
    try:
        if last_snapshot(store, run_id) is None:
            write_snapshot(store, run_id)
            yield Outcome(snapshot_key(run_id, 0), "is missing: made again", is_repaired=True)
    except StoreError:
        key = snapshot_key(run_id, snapshot_sequence(store, run_id) - 1)
        store.delete(key)
        write_snapshot(store, run_id)
        yield Outcome(key, "cannot be read: made again", is_repaired=True)
    ledger = read_ledger(store, run_id, Tally())
    for number in range(snapshot_sequence(store, run_id) - 1):
        key = snapshot_key(run_id, number)
        what = _fault(store, key)
        if what is None:
            continue
        data = _snapshot_bytes(store, run, ledger, number)
        if data is None:
            said = f"{what}, and nothing says which files it listed; only the audit reads it"
            yield Outcome(key, said, is_repaired=False)
        else:
            store.put(key, data)
            yield Outcome(key, f"{what}: made again, byte for byte", is_repaired=True)


def _fault(store: Backend, key: str) -> str | None:
    try:
        return "is missing" if find(store, key, Snapshot) is None else None
    except BadRecord:
        return "cannot be read"


def _snapshot_bytes(store: Backend, run: Run, ledger: Ledger, number: int) -> bytes | None:
    """The bytes of a snapshot whose digest its successor has; None where no likely one has it."""
    try:
        (after,) = read_many(store, [snapshot_key(run.run_id, number + 1)], Snapshot)
        parent = store.get(snapshot_key(run.run_id, number - 1)) if number else None
    except (KeyError, BadRecord):
        return None
    for commits in _likely(store, run, ledger):
        data = encode(snapshot_of(run.run_id, number, parent, commits))
        if sha256_hex(data) == after.parent_sha256:
            return data
    return None


def _likely(store: Backend, run: Run, ledger: Ledger) -> Iterator[list[Commit]]:
    """What a run may have consisted of: before some retries, gradings and repairs of it."""
    revisions = range(max((unit.revision for unit in ledger.commits), default=0) + 1)
    graded = [OWN, *(record.grading_id for record in read_gradings(store, run.run_id))]
    replaced = {commit.unit.first: commit for commit in reversed(ledger.replaced)}
    for revision, count, before in product(revisions, range(len(graded) + 1), (False, True)):
        known = {**ledger.commits, **(replaced if before else {})}
        units = [
            unit
            for unit in known
            if unit.revision <= revision and unit.grading in ("", *graded[:count])
        ]
        yield [known[unit] for unit in current_among(units)]

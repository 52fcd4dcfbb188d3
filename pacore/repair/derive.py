"""Recomputing the tables of a run by its own stages, from the journal and from each other."""

from __future__ import annotations

from pacore.audit.derive import trajectory_of
from pacore.audit.files import table_rows
from pacore.core.config.run import RunConfig
from pacore.core.grading.choose import is_by_rules
from pacore.errors import Refused, StoreError
from pacore.evaluation.gradings import grading_by
from pacore.evaluation.judging import JudgedShard, votes_in
from pacore.runs.answers import conclude
from pacore.runs.messages import compact
from pacore.runs.trajectories import fill
from pacore.runs.verdicts import OpenGrading, ShardGrading, UngradedShard, grade
from pacore.runs.work import OpenShard, Work, WorkLimits
from pacore.store.backends.protocol import Backend
from pacore.store.commits import (
    Commit,
    Draft,
    current_commits,
    read_commit,
    text_ids,
)
from pacore.store.gradings import GradingRecord
from pacore.store.integrity import damage
from pacore.store.layout import Unit
from pacore.store.rows import StoredTrajectory
from pacore.store.run import Run, list_runs, open_run
from pacore.store.schema import TRAJECTORY_TEXTS


class RepairWork(Work):
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

    def derive(self, unit: Unit) -> None:
        """Publish one unit again. Raises StoreError, Refused or BadInput where that cannot be."""
        shard = self.shard(OpenShard(self._number(unit), unit.revision))
        if unit.table == "trajectories":
            fill(shard, unit.round)
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


def _derive_texts(work: RepairWork, unit: Unit) -> None:
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
                entry = work.journal.find(trajectory_id)
                if entry is None and row.finish_reason != "context_overflow":
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
        if run_id.startswith(f"{run.run_id}.judge-"):
            judge = open_run(store, run_id)
            if judge.recipe.as_json() == recipe:
                votes |= votes_in(store, run_id)
    if not votes:
        raise Refused(f"the run with the votes of {record.grading.grader} is not in this store")
    return votes

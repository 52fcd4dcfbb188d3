"""What successive checkpoints do with messages: accuracy, words of cross-checking, emergent correctness.

The numbers are those of `mart_checkpoints` (Figures 1, 3 and 5), read problem by problem, since an interval
resamples problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from pacore.errors import Refused
from pacore.evaluation.mechanism import Figure, figure_of
from pacore.store.run import Run
from pacore.warehouse.report_rows import ReportRow
from pacore.warehouse.views import Warehouse


@dataclass(frozen=True, slots=True)
class SynthesisCounts(ReportRow):
    """What a round of a run makes of messages on one problem; see
    `sql/reports/checkpoints/problems.sql`.
    """

    QUERY: ClassVar[str] = "checkpoints/problems"

    run_id: str
    round: int
    message_run_id: str
    problem_id: str
    episodes: int
    right: int
    message_accuracy: float | None
    all_wrong: int
    found: int
    spoken: int
    words: float
    speaking: int

    @property
    def accuracy(self) -> float:
        """The share of its trajectories that is right."""
        return self.right / self.episodes


@dataclass(frozen=True, slots=True)
class CheckpointRound:
    """What one round of a checkpoint's run makes of messages.

    ``accuracy`` and ``message_accuracy`` are means over problems, the second None where nothing says which
    messages are right; ``emergent`` is the share of right answers
    where no message was, None where there is no such episode; ``any_rate`` the share of trajectories that
    mention references, and ``words_mean`` how often one does.
    """

    checkpoint: str
    run_id: str
    round: int
    message_run_id: str
    accuracy: Figure
    message_accuracy: Figure | None
    emergent: Figure | None
    any_rate: Figure | None
    words_mean: float | None


def checkpoint_of(run: Run) -> str:
    """The model of a run by its last name, with the beginning of its revision where that is known."""
    model = run.recipe.model.rstrip("/").split("/")[-1]
    revision = getattr(run.recipe, "revision", None)
    return model if revision is None else f"{model}@{revision[:8]}"


def measure_checkpoints(
    warehouse: Warehouse, runs: Sequence[Run], names: Mapping[str, str]
) -> list[CheckpointRound]:
    """The rounds of some runs that attempt problems with messages, in the order of the runs; ``names`` are
    the checkpoints by run. Raises Refused for a run that has no such round with verdicts.
    """
    rows = warehouse.read(SynthesisCounts, run_ids=[run.run_id for run in runs])
    by_run = {run_id: list(group) for run_id, group in groupby(rows, lambda row: row.run_id)}
    for run in runs:
        if run.run_id not in by_run:
            raise Refused(
                f"run {run.run_id}: no trajectory of it has messages in its prompt and a verdict; "
                f"pacore grade {run.run_id} grades every round"
            )
    return [one for run in runs for one in _rounds(by_run[run.run_id], names[run.run_id])]


def _rounds(rows: Sequence[SynthesisCounts], checkpoint: str) -> Iterator[CheckpointRound]:
    for round_, group in groupby(rows, lambda row: row.round):
        found = list(group)
        seen = [row.message_accuracy for row in found if row.message_accuracy is not None]
        lost = [row for row in found if row.all_wrong]
        spoke = [row for row in found if row.spoken]
        spoken = sum(row.spoken for row in spoke)
        yield CheckpointRound(
            checkpoint,
            found[0].run_id,
            round_,
            found[0].message_run_id,
            accuracy=_mean([row.accuracy for row in found], sum(row.episodes for row in found)),
            message_accuracy=_mean(seen, len(seen)) if seen else None,
            emergent=_share([row.found for row in lost], [row.all_wrong for row in lost]),
            any_rate=_share([row.speaking for row in spoke], [row.spoken for row in spoke]),
            words_mean=sum(row.words for row in spoke) / spoken if spoken else None,
        )


def _mean(values: Sequence[float], cases: int) -> Figure:
    return figure_of(values, [1.0] * len(values), cases)


def _share(parts: Sequence[int], wholes: Sequence[int]) -> Figure | None:
    return figure_of(parts, wholes, sum(wholes)) if wholes else None

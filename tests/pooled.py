"""Runs of one round made by hand: each problem's replicates with the answers and verdicts they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pacore.core.answer import Answer
from pacore.core.grading.verdict import Score, VerdictName
from pacore.core.identity import trajectory_key
from pacore.core.problem import Problem, Turn
from pacore.core.trajectory import Generation, Slot, Trajectory, normalise
from pacore.store.backends.protocol import Backend
from pacore.store.gradings import Grading
from pacore.store.layout import Unit
from tests.graded import grade_rows
from tests.small_store import WHEN, Row, Rows, as_row, begin_run, publish_rows

GRADING = Grading("auto", "by hand")
TOKENS = 100


class Sample(NamedTuple):
    """One replicate's end: its answer's class (None for no answer), verdict and score.

    ``made_by`` names the run whose trajectory it is; None where it is the run's own.
    """

    key: str | None
    verdict: VerdictName
    score: float | None
    tokens: int | None = TOKENS
    made_by: str | None = None


RIGHT = Sample("right", "correct", 1.0)
NOTHING = Sample(None, "no_answer", 0.0)
BROKEN = Sample("odd", "timeout", None)


def wrong(key: str, score: float = 0.0) -> Sample:
    return Sample(key, "wrong", score)


def pooled_run(
    store: Backend, run_id: str, samples: Mapping[str, Sequence[Sample]], **fields: Any
) -> None:
    """A graded run without widths in which replicate j of each problem ends as its j-th sample."""
    problems = [
        Problem(name, (Turn("user", f"What is {name}?"),), "gold") for name in sorted(samples)
    ]
    replicates = max(len(given) for given in samples.values())
    begin_run(
        store, problems, run_id,
        **{"widths": (), "replicates": replicates, "shard_size": len(problems), **fields},
    )  # fmt: skip
    rows: Rows = {}
    verdicts: list[Row] = []
    for problem in problems:
        for replicate, sample in enumerate(samples[problem.problem_id]):
            for table, row in _rows(run_id, problem, replicate, sample).items():
                rows.setdefault(Unit(run_id, table, 1, "s00000"), []).append(row)
            row = rows[Unit(run_id, "trajectories", 1, "s00000")][-1]
            verdicts.append(_verdict(row, sample))
    publish_rows(store, rows)
    unit = Unit(run_id, "verdicts", 1, "s00000", 0, GRADING.grading_id)
    grade_rows(store, run_id, {unit: verdicts}, GRADING)


def _rows(run_id: str, problem: Problem, replicate: int, sample: Sample) -> dict[str, Row]:
    trajectory_id, seed = trajectory_key(
        "recipe", f"{problem.problem_id} of {sample.made_by or run_id}", replicate
    )
    content = "" if sample.key is None else f"It is {sample.key}."
    made = Generation(
        "stop", content, prompt_tokens=10, completion_tokens=sample.tokens,
        usage_source="unknown" if sample.tokens is None else "server", engine="scripted",
    )  # fmt: skip
    trajectory = Trajectory(
        place=Slot(1, problem.problem_id, replicate, 0, replicate),
        trajectory_id=trajectory_id,
        attempt=0,
        seed=seed,
        prompt_digest=problem.problem_id,
        generation=made,
        thought=normalise(made),
        text_run_id=run_id,
        generated_at=WHEN,
    )
    is_answered = sample.key is not None
    answer = Answer(
        problem.problem_id, replicate, sample.key, "final_line" if is_answered else None,
        trajectory_id, "stop", "answered" if is_answered else "no_answer",
        None if is_answered else "nothing", None,
    )  # fmt: skip
    score = Score(
        problem.problem_id, replicate, trajectory_id, "text", "1", sample.verdict, sample.score,
        "gold", sample.key,
    )  # fmt: skip
    return {
        "trajectories": as_row("trajectories", trajectory),
        "trajectory_texts": as_row("trajectory_texts", trajectory),
        "answers": as_row("answers", answer),
        "scores": as_row("scores", score),
    }


def _verdict(row: Row, sample: Sample) -> Row:
    return {
        **{name: row[name] for name in ("problem_id", "replicate", "slot", "trajectory_id")},
        "grading": GRADING.grading_id,
        "grader": "text",
        "grader_version": GRADING.grader_version,
        "verdict": sample.verdict,
        "score": sample.score,
        "answer": sample.key,
        "method": None if sample.key is None else "final_line",
        "answer_key": sample.key,
        "detail": None,
    }

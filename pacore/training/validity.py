"""The stage of validity: a judge votes on each problem that the filters left (paper, appendix C: 4 of 4).

The questions are a problem set, and the votes a run of single trajectories of it, so that no training set
of the store pays for a question that another has paid for, and what was begun resumes. A problem is kept
where as many votes as are needed say that it is one clear question with an answer that can be checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import JsonValue

from pacore.core.config.run import RunConfig
from pacore.core.config.training import TrainingConfig, kind_by_grader
from pacore.core.grading.choose import choose_grader, gold_answer
from pacore.core.grading.judge import ValidityQuestion, read_validity
from pacore.core.problem import Problem, Turn
from pacore.errors import Refused
from pacore.problems.files import read_problem_rows
from pacore.runs.derived import conclusions_of, put_problems
from pacore.store.backends.protocol import Backend
from pacore.store.layout import derived_key, run_key
from pacore.store.schema import TrainingDecision
from pacore.store.training import DecisionFile, TrainingRecord, put_training
from pacore.training.stages import source_of

INVALID, UNJUDGED = "not valid", "validity unobserved"

JUDGED_FIELD = "validity"
"""The field of the metadata of a question with the training set and the problem that it is about."""


def put_questions(
    store: Backend, config: TrainingConfig, record: TrainingRecord
) -> RunConfig | None:
    """The run of the votes on the problems that the filters left; None once the pool is begun, whose
    problems are those that were found valid then.
    """
    if "validity" in record.decisions and store.exists(run_key(record.pool_run)):
        return None
    run_id = f"{record.name}.judge"
    if not store.exists(derived_key(run_id)):
        seen: set[str] = set()

        def asked() -> Iterator[Problem]:
            for problem in _filtered(store, record):
                question = _question(problem)
                if question.question_id not in seen:
                    seen.add(question.question_id)
                    yield _as_problem(question, record.name, problem.problem_id)

        put_problems(store, asked(), lambda _: run_id)
    return config.judge_run(store.uri(derived_key(run_id)))


def conclude_validity(
    store: Backend, config: TrainingConfig, record: TrainingRecord
) -> TrainingRecord:
    """Decide which problems are valid, by the votes in the judge's run, and freeze these.

    Raises Refused where none is.
    """
    judge, run_id = config.judge, f"{record.name}.judge"
    assert judge is not None
    votes: dict[str, list[bool | None]] = {}
    for question_id, conclusion in conclusions_of(store, run_id):
        votes.setdefault(question_id, []).append(read_validity(conclusion))
    reasons = Counter[str]()
    with DecisionFile(store, record.name, "validity") as file:

        def valid() -> Iterator[Problem]:
            for problem in _filtered(store, record):
                given = votes.get(_question(problem).question_id, [])
                decision = _decided(record.name, problem, given, judge.drawn, judge.wanted)
                file.add(decision)
                if decision.is_kept:
                    yield problem
                else:
                    reasons[str(decision.reason)] += 1

        if put_problems(store, valid(), lambda _: record.pool_run) is None:
            said = ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common())
            raise Refused(
                f"training set {record.name}: the judge leaves no problem: {said}; its votes: run {run_id}"
            )
        key = file.publish()
    concluded = replace(
        record,
        written_at=datetime.now(UTC),
        problem_set=derived_key(record.pool_run),
        judge_run=run_id,
        recipes={**record.recipes, "judge": config.judge_run("").recipe.as_json()},
        decisions={**record.decisions, "validity": key},
    )
    return put_training(store, concluded)


def _filtered(store: Backend, record: TrainingRecord) -> Iterator[Problem]:
    """The problems that the filters left, one at a time."""
    for row in read_problem_rows(store.uri(derived_key(f"{record.name}.filtered")), None):
        problem = row.reading.result
        assert isinstance(problem, Problem), "what put_problems wrote can be read"
        yield problem


def _question(problem: Problem) -> ValidityQuestion:
    is_program = choose_grader(problem) == "code"
    return ValidityQuestion(problem.turns, None if is_program else gold_answer(problem))


def _as_problem(question: ValidityQuestion, name: str, problem_id: str) -> Problem:
    about: dict[str, JsonValue] = {JUDGED_FIELD: {"training": name, "problem_id": problem_id}}
    return Problem(question.question_id, (Turn("user", question.prompt),), None, None, about)


def _decided(
    name: str, problem: Problem, votes: Sequence[bool | None], drawn: int, needed: int
) -> TrainingDecision:
    """The decision on a problem by its votes: those that are missing or cannot be read count for neither,
    and where they could decide, the problem is unobserved.
    """
    valid, read = sum(vote is True for vote in votes), sum(vote is not None for vote in votes)
    reason = None
    if valid < needed:
        reason = UNJUDGED if valid + drawn - read >= needed else INVALID
    said = f"{valid} of {drawn} votes say valid" + (f", {drawn - read} nothing" * (read < drawn))
    return TrainingDecision(
        name, "validity", source_of(problem), problem.problem_id, reason is None, reason,
        None if reason is None else said, kind_by_grader(choose_grader(problem)), valid, read, drawn,
    )  # fmt: skip

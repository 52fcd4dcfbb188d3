"""Derived runs: prompts made from another run's rows, sampled through the flow like any other run.

So what they generate is cached, resumed, stored and audited like everything else. The metadata of each
problem names what it was derived from.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from pacore.core.config.fields import Declared
from pacore.core.config.run import RunConfig, declared_fields
from pacore.core.problem import Problem
from pacore.core.validation import validated
from pacore.problems.golds import is_empty_mark
from pacore.runs.settings import config_of
from pacore.store.backends.protocol import Backend
from pacore.store.commits import current_commits
from pacore.store.layout import derived_key
from pacore.store.run import Run
from pacore.warehouse.files import conclusions

NOT_COPIED = (
    "problems", "limit", "fields", "shard_size", "run_id", "store", "max_tokens_total", "max_cost",
    "max_hours", "max_tokens_problem", "partial",
)  # fmt: skip
"""Fields of the other run's problems, names and budget, which a derived run does not take over."""


def derived_config(
    store: Backend, run: Run, run_id: str, replicates: int, changes: Mapping[str, object]
) -> RunConfig:
    """A run of single trajectories by the engine and recipe of ``run``, some fields changed.

    Of an imported run no more is known than its model. Raises BadInput for a change that is wrong.
    """
    recorded = (
        {"model": run.recipe.model}
        if run.is_imported
        else config_of(run, {}).model_dump(exclude_unset=True)
    )
    plan = declared_fields(Declared.PLAN)
    kept = {name: value for name, value in recorded.items() if name not in (*plan, *NOT_COPIED)}
    values = {
        **kept,
        **changes,
        "problems": store.uri(derived_key(run_id)),
        "widths": (),
        "replicates": replicates,
        "store": store.url,
        "run_id": run_id,
    }
    return validated(RunConfig, values)


def put_problems(
    store: Backend, problems: Iterable[Problem], named: Callable[[Sequence[str]], str]
) -> str | None:
    """Write the problem set of a derived run, a row at a time; the run's id, as ``named`` makes it
    of the problems' ids. None, and nothing written, where there is no problem.
    """
    scratch = store.scratch() / f"derived-{secrets.token_hex(8)}"
    ids = []
    try:
        with scratch.open("w", encoding="utf-8") as file:
            for problem in problems:
                file.write(json.dumps(_row(problem)) + "\n")
                ids.append(problem.problem_id)
        if not ids:
            return None
        run_id = named(ids)
        store.put_file(derived_key(run_id), scratch)
        return run_id
    finally:
        scratch.unlink(missing_ok=True)


def _row(problem: Problem) -> dict[str, object]:
    row: dict[str, object] = {
        "id": problem.problem_id,
        "messages": [turn.as_json() for turn in problem.turns],
        **problem.metadata,
    }
    # Runs of earlier versions may have empty marks as gold answers, which a problem set may not have.
    if problem.gold is not None and not is_empty_mark(problem.gold):
        row["answer"] = problem.gold
    if problem.grader is not None:
        row["grader"] = problem.grader
    return row


def conclusions_of(store: Backend, run_id: str) -> Iterator[tuple[str, str | None]]:
    """Problem id and conclusion of every finished trajectory of a derived run."""
    for commit in current_commits(store, run_id, "trajectories"):
        with store.local_path(commit.path) as path:
            for row in conclusions(path):
                yield row.problem_id, row.conclusion

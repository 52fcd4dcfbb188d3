"""What an evaluation says of runs: numbers with their intervals, and the rates they are read beside.

What a person reads of gradings: verdicts by round, one grading beside another, and refusals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pacore.core.grading.verdict import VERDICTS
from pacore.errors import ChecksFailed
from pacore.evaluation.measures import Measures, measure
from pacore.report.accuracy import accuracy_of, health_facts, missing_facts
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    facts,
    line,
    number,
    settled,
    share,
    stacked,
    to_text,
)
from pacore.store.run import headline, open_run
from pacore.text import excerpt
from pacore.warehouse.views import CHECK_ROWS, Warehouse

ESTIMATES = {"pass_at_k": "pass@", "pass_power_k": "pass^", "maj_at_k": "maj@"}


POOLS = {"first_round": "samples of the bare problem", "answers": "answers of the replicates"}


def evaluation_report(
    warehouse: Warehouse, run_ids: Sequence[str], width: int | None = None
) -> str:
    """The measures of runs, one after the other, as text. ``width`` is in columns."""
    found = [measure(warehouse, run_id) for run_id in run_ids]
    texts = [to_text(stacked(*_parts(one)), width) for one in found]
    return "\n\n".join(texts)


def evaluation_json(warehouse: Warehouse, run_ids: Sequence[str]) -> str:
    """The same as JSON, numbers as `settled` gives them: a list with an object for each run."""
    found = [measure(warehouse, run_id) for run_id in run_ids]
    told = [
        {
            "run_id": one.run.run_id,
            "totals": one.totals,
            "missing": one.missing,
            "summary": one.summary,
            "pools": one.pools,
            "rounds": one.rounds,
        }
        for one in found
    ]
    return json.dumps(settled(told), indent=2, default=str)


def _parts(one: Measures) -> Iterator[Content]:
    yield line(headline(one.run), "bold")
    yield line("")
    yield facts([*_accuracy(one), *health_facts(one.totals), *_spent(one)])
    for pool, rows in groupby(one.pools, key=lambda row: row["pool"]):
        shown = list(rows)
        # Without rounds before the last, what replicates come to is what the pool is made of.
        if len(shown) > 1 and (pool == "first_round" or one.run.plan.rounds > 1):
            yield line("")
            of = f"{shown[0]['problems']:,} of {one.run.problems:,} problems"
            yield line(f"{POOLS[pool]}, k taken without replacement, {of}", "bold")
            yield _pool(shown)
    if one.rounds:
        yield line("")
        yield line("messages", "bold")
        yield _rounds(one.rounds)
    if not one.is_graded:
        yield line("")
        yield line(f"only answers are graded; pacore grade {one.run.run_id} grades every round")


def _accuracy(one: Measures) -> Iterator[tuple[str, str]]:
    total = one.totals
    yield "accuracy", accuracy_of(total)
    for question, words in (
        ("population", "other problems of this kind"),
        ("these", "these problems solved again"),
    ):
        low, high = total[f"{question}_low"], total[f"{question}_high"]
        if low is not None:
            yield "", f"{share(low)} to {share(high)}: {words}, 95 %"
    yield from missing_facts(total, one.missing)
    by = f" (grading {one.summary['grading']})" if one.is_graded else ""
    yield "graded by", f"{one.summary['graders'] or ABSENT}{by}"


def _spent(one: Measures) -> Iterator[tuple[str, str]]:
    total, summary = one.totals, one.summary
    effective = f"{number(total['mean_effective_tokens'])} tokens an answer"
    yield "effective TTC", f"{effective}, {number(total['effective_tokens'])} in all"
    per_thousand = summary["accuracy_per_thousand_tokens"]
    if per_thousand is not None:
        yield "", f"{number(100 * per_thousand, 1)} points of accuracy per thousand tokens"
    wasted = f"{number(summary['wasted_tokens'])} wasted on attempts given up"
    yield "marginal TTC", f"{number(total['marginal_tokens'])} tokens newly generated, {wasted}"
    if total["uncounted"]:
        yield "", f"tokens of {total['uncounted']:,} trajectories are not known and not in these"
    cached = summary["cached_prompt_tokens"]
    known = "" if cached is None else f", {number(cached)} of them cached"
    yield "prompts", f"{number(summary['prompt_tokens'])} tokens{known}"
    if summary["currency"] is not None:
        each = number(summary["effective_money_per_answer"], 6)
        money = f"{number(summary['effective_money'], 4)} in all"
        new = f"{number(summary['marginal_money'], 4)} newly spent"
        yield "cost", f"{summary['currency']} {each} an answer, {money}, {new}"


def _pool(rows: Sequence[dict[str, Any]]) -> Grid:
    """Every estimate in a line of its own, beside its own intervals."""
    columns = [
        Column("estimate"),
        Column("value", is_number=True),
        Column("other problems, 95 %", is_number=True),
        Column("these problems, 95 %", is_number=True),
        Column("tokens", is_number=True),
    ]
    lines = [_estimate(row, name, sign) for name, sign in ESTIMATES.items() for row in rows]
    return Grid(columns, lines)


def _estimate(row: dict[str, Any], name: str, sign: str) -> list[str]:
    found = row["intervals"].get(name)
    mark = "~" if name == "maj_at_k" and row["method"] == "resampled" else ""
    return [
        f"{sign}{row['k']:,}",
        mark + share(row[name]),
        _between(found.low, found.high) if found else ABSENT,
        _between(found.these_low, found.these_high) if found else ABSENT,
        number(row["tokens"]),
    ]


def _between(low: float | None, high: float | None) -> str:
    return ABSENT if low is None or high is None else f"{share(low)} to {share(high)}"


def _rounds(rows: Sequence[dict[str, Any]]) -> Grid:
    columns = [
        Column("round", is_number=True),
        Column("sets", is_number=True),
        Column("accuracy", is_number=True),
        Column("some correct", is_number=True),
        Column("answers", is_number=True),
        Column("oracle gap", is_number=True),
    ]
    cells = [
        [
            f"{row['round']}",
            f"{row['sets']:,}",
            share(row["message_accuracy"]),
            share(row["oracle"]),
            share(row["accuracy"]),
            share(row["gap"]),
        ]
        for row in rows
    ]
    return Grid(columns, cells)


SHOWN_ROWS = 3


SHOWN_CHARACTERS = 60


def grading_table(
    warehouse: Warehouse, run_id: str, grading_id: str, width: int | None = None
) -> str:
    """What a grading says of a run, round by round, and the accuracy by it and those before it."""
    gradings = warehouse.rows("reports/gradings", run_id=run_id)
    named = next(row for row in gradings if row["grading"] == grading_id)
    title = f"grading {grading_id} · {named['grader']} · {named['grader_version']}"
    parts = stacked(
        line(headline(open_run(warehouse.store, run_id)), "bold"),
        line(title),
        line(""),
        _graded_rounds(warehouse.rows("reports/grading_rounds", run_id=run_id, grading=grading_id)),
        line(""),
        _gradings(gradings),
    )
    return to_text(parts, width)


def _graded_rounds(rows: Sequence[Mapping[str, Any]]) -> Grid:
    names = ("trajectories", *VERDICTS)
    columns = [Column(name.replace("_", " "), is_number=True) for name in ("round", *names)]
    cells = [(str(row["round"]), *(number(row[name]) for name in names)) for row in rows]
    scores = [number(row["score"], 3) for row in rows]
    return Grid(
        [*columns, Column("mean score", is_number=True)],
        [(*row, score) for row, score in zip(cells, scores, strict=True)],
    )


def _gradings(rows: Sequence[Mapping[str, Any]]) -> Grid:
    columns = [
        Column("grading"),
        Column("grader"),
        Column("version"),
        Column("accuracy", is_number=True),
        Column("scored", is_number=True),
        Column(""),
    ]
    return Grid(
        columns,
        [
            (
                row["grading"],
                row["grader"],
                row["grader_version"] or ABSENT,
                share(row["score"]),
                f"{number(row['scored'])}/{number(row['planned'])}",
                "current" if row["stands"] else "",
            )
            for row in rows
        ],
    )


def refusal(broken: Mapping[str, Sequence[Mapping[str, Any]]]) -> ChecksFailed:
    """Why nothing is reported: each check that was broken, with its first rows."""
    named = ", ".join(sorted(broken))
    return ChecksFailed(
        "\n".join([f"nothing is reported, for checks fail: {named}", *_rows(broken)])
    )


def _rows(broken: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for name, rows in sorted(broken.items()):
        counted = f"{len(rows):,}" if len(rows) < CHECK_ROWS else f"{CHECK_ROWS} or more"
        yield f"  {name}: {counted} row{'' if len(rows) == 1 else 's'}"
        for row in rows[:SHOWN_ROWS]:
            yield "    " + ", ".join(
                f"{column} {excerpt(str(value), SHOWN_CHARACTERS)}" for column, value in row.items()
            )

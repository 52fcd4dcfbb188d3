"""What an evaluation says of runs: numbers with their intervals, and the rates they are read beside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from pacore.accuracy_report import accuracy_of, health_facts, missing_facts
from pacore.evaluation.measures import Measures, measure
from pacore.figures import settled
from pacore.store.run import headline
from pacore.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    facts,
    line,
    number,
    share,
    stacked,
    to_text,
)
from pacore.warehouse.views import Warehouse

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

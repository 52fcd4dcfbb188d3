"""What changed between two gradings of a run, or between two runs: verdicts that flipped.

A comparison of two runs, for a person and as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pacore.evaluation.comparison import Compared, Comparison, Decision
from pacore.evaluation.statistics.paired import Paired
from pacore.report.query import query_output
from pacore.report.terminal import (
    ABSENT,
    Column,
    Content,
    Grid,
    facts,
    line,
    number,
    points,
    settled,
    share,
    stacked,
    to_text,
)
from pacore.text import excerpt
from pacore.warehouse.views import Warehouse

SHOWN_FLIPS = 50


EVERY_FLIP = 2**62


def flips_output(
    warehouse: Warehouse, compared: Compared, form: str, limit: int | None, width: int | None = None
) -> Iterator[str]:
    """The flips in pieces of text, line breaks included: ``table``, or a form of `query_output`.

    ``limit`` None shows fifty of them in a table, and all elsewhere.
    """
    if form != "table":
        rows = EVERY_FLIP if limit is None else limit
        result = warehouse.stream(compared.report, **compared.parameters, rows=rows)
        return query_output(result, form)
    shown = SHOWN_FLIPS if limit is None else limit
    return iter([_table(warehouse, compared, shown, width) + "\n"])


def _table(warehouse: Warehouse, compared: Compared, limit: int, width: int | None) -> str:
    counts = warehouse.rows(compared.counts, **compared.parameters)
    changed = sum(row["changed"] for row in counts)
    rows = warehouse.rows(compared.report, **compared.parameters, rows=limit)
    parts: list[Content] = [
        line(compared.title, "bold"),
        facts([("from", compared.sides[0]), ("to", compared.sides[1])]),
        line(""),
        facts(list(_counted(compared, counts, changed))),
    ]
    if rows:
        parts += [line(""), _grid(rows)]
    if changed > len(rows):
        parts.append(line(f" … and {changed - len(rows):,} more; --limit shows more", "dim"))
    return to_text(stacked(*parts), width)


def _counted(
    compared: Compared, counts: Sequence[Mapping[str, Any]], changed: int
) -> Iterator[tuple[str, str]]:
    together = sum(row[compared.noun] for row in counts)
    yield "changed", f"{number(changed)} of {number(together)} {compared.noun} that both graded"
    for row in counts:
        if row["changed"]:
            yield "", f"{number(row['changed'])} {_change(row)}"
    if shared := sum(row.get("shared", 0) for row in counts):
        same = f"{number(shared)} of the {number(together)} {compared.noun}"
        yield "shared", f"{same} are the same trajectories in both runs"


def _change(row: Mapping[str, Any]) -> str:
    before, after = (str(row[side]).replace("_", " ") for side in ("before", "after"))
    return f"{before} → {after}" if before != after else f"{before}, with another score"


def _grid(rows: Sequence[Mapping[str, Any]]) -> Grid:
    placed = [name for name in ("round", "problem", "replicate", "slot") if name in rows[0]]
    columns = [Column(name, is_number=name != "problem") for name in placed]
    titles = [Column(name) for name in ("from", "to", "answer", "gold")]
    cells = [
        (
            *(str(row[name]) for name in placed),
            _verdict(row, "before"),
            _verdict(row, "after"),
            _answer(row),
            excerpt(row["gold"] or ABSENT, 30),
        )
        for row in rows
    ]
    return Grid([*columns, *titles], cells)


def _verdict(row: Mapping[str, Any], side: str) -> str:
    """A verdict's name, with the score of one between right and wrong."""
    score = row[f"{side}_score"]
    partial = f" {number(score, 2)}" if score not in (None, 0.0, 1.0) else ""
    return f"{row[side].replace('_', ' ')}{partial}"


def _answer(row: Mapping[str, Any]) -> str:
    """The answer both sides read, or what each of them does."""
    before, after = (excerpt(row[name] or ABSENT, 40) for name in ("before_answer", "after_answer"))
    return after if before == after else f"{before} → {after}"


LEAST_P = 0.0001


SIDES = ("first", "second")

RATES = {
    "missing": "missing_rate",
    "no answer": "no_answer_rate",
    "failed": "failed_rate",
    "truncated": "truncated_rate",
    "timeout": "timeout_rate",
    "crash": "crash_rate",
    "ungraded": "ungraded_rate",
}


def comparison_text(
    found: Comparison, decision: Decision | None = None, width: int | None = None
) -> str:
    """Both runs side by side, their difference over common problems with its tests, and the gate."""
    first, second = found.first, found.second
    columns = [Column("", False), *(Column(run["run_id"], True) for run in (first, second))]
    grid = Grid(columns, list(_lines(found)))
    parts: list[Content] = [grid, line(""), facts(list(_tests(found)))]
    if decision is not None:
        parts += [line(""), line(decision.word, "bold")]
        parts += [line(f"  {reason}") for reason in decision.reasons]
    return to_text(stacked(*parts), width)


def _lines(found: Comparison) -> Iterator[list[str]]:
    runs = (found.first, found.second)
    yield ["accuracy", *(share(run["score"]) for run in runs)]
    yield [
        "accuracy, 95 %",
        *(_between(run["population_low"], run["population_high"]) for run in runs),
    ]
    yield ["answers scored", *(f"{run['scored']:,} of {run['planned']:,}" for run in runs)]
    for title, name in RATES.items():
        yield [title, *(share(run[name]) for run in runs)]
    yield ["tokens an answer", *(number(run["tokens_per_answer"]) for run in runs)]
    if any(run["currency"] for run in runs):
        currency = next(run["currency"] for run in runs if run["currency"])
        yield [
            f"{currency} an answer",
            *(number(run["effective_money_per_answer"], 6) for run in runs),
        ]
    yield from _shared(found)


def _between(low: float | None, high: float | None) -> str:
    return ABSENT if low is None or high is None else f"{share(low)} to {share(high)}"


def _tests(found: Comparison) -> Iterator[tuple[str, str]]:
    pair = found.paired
    left_out = found.only_first + found.only_second + found.changed
    beside = f", {left_out} not in both or changed" if left_out else ""
    yield "problems", f"{pair.problems:,} compared{beside}"
    if found.sharing.is_any:
        own = f"{pair.independent:,} problems have answers of their own in both runs"
        yield (
            "dependence",
            f"{own}; paired by problem, which accounts for the trajectories they share",
        )
    yield "difference", f"{points(pair.difference)} ({_interval(pair)})"
    yield "", f"from {share(pair.first)} to {share(pair.second)} on these problems"
    yield "problems better", f"{pair.better:,}, worse {pair.worse:,}, equal {pair.equal:,}"
    if pair.permutation_p is None:
        yield "permutation", "no problem's score differs"
    else:
        counted = "all sign patterns" if pair.is_exact else "100,000 sign patterns"
        yield "permutation", f"{chance(pair.permutation_p)} ({counted})"
    yield "McNemar", f"{chance(pair.mcnemar_p)} ({pair.gained} gained, {pair.lost} lost)"
    if pair.detectable is not None:
        yield (
            "detectable",
            f"{100 * pair.detectable:.1f} points, 4 times in 5 with so many problems",
        )
    if (same := found.equivalence) is not None:
        word = "equivalent" if same.is_equivalent else "not shown to be equivalent"
        bounds = f"{points(same.low)} to {points(same.high)}, 90 %"
        within = f"within {100 * same.margin:g} points: {chance(same.p)}"
        yield "equivalence", f"{word} {within} ({bounds})"
    if found.graders[0] == found.graders[1]:
        yield "grader", ", ".join(found.graders[0])
    else:
        yield "graders", " against ".join(", ".join(graders) for graders in found.graders)


def _shared(found: Comparison) -> Iterator[list[str]]:
    """What of each run is the other's too: answers, and by round trajectories and their tokens."""
    sharing = found.sharing
    if not sharing.is_any:
        return
    yield ["shared answers", *(f"{sharing.shared:,} of {count:,}" for count in sharing.answers)]
    for row in sharing.rounds:
        yield [
            f"shared in round {row['round']}",
            *(f"{row[f'{side}_shared']:,} of {row[side]:,}" for side in SIDES),
        ]
        tokens = [(row[f"{side}_shared_tokens"], row[f"{side}_tokens"]) for side in SIDES]
        yield ["  of its tokens", *(share(_ratio(*parts)) for parts in tokens)]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _interval(pair: Paired) -> str:
    if pair.low is None or pair.high is None:
        return "no interval: fewer than two problems"
    return f"{points(pair.low)} to {points(pair.high)}, 95 %"


def chance(p: float) -> str:
    """A p value: never one of 0, which no number of problems can show."""
    return f"p = {p:.4f}" if p >= LEAST_P else f"p < {LEAST_P:.4f}"


def comparison_json(found: Comparison, decision: Decision | None = None) -> str:
    """The same as JSON: numbers as `settled` gives them."""
    told: dict[str, Any] = {
        "first": dict(found.first),
        "second": dict(found.second),
        "paired": found.paired,
        "equivalence": None,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "changed": found.changed,
        "graders": [list(graders) for graders in found.graders],
        "sharing": {
            "answers": list(found.sharing.answers),
            "shared": found.sharing.shared,
            "rounds": list(found.sharing.rounds),
        },
    }
    if found.equivalence is not None:
        told["equivalence"] = {
            **asdict(found.equivalence),
            "is_equivalent": found.equivalence.is_equivalent,
        }
    if decision is not None:
        told["decision"] = {"word": decision.word, "reasons": list(decision.reasons)}
    return json.dumps(settled(told), indent=2, default=str)

"""What changed between two gradings of a run, or between two runs: verdicts that flipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pacore.errors import BadInput, Refused
from pacore.query_output import query_output
from pacore.sharing import same_trajectories
from pacore.store.run import headline, open_run
from pacore.terminal import ABSENT, Column, Content, Grid, facts, line, number, stacked, to_text
from pacore.text import excerpt
from pacore.warehouse.views import Warehouse

SHOWN_FLIPS = 50
EVERY_FLIP = 2**62


@dataclass(frozen=True)
class Compared:
    """Two sides that judge the same things. ``report`` and ``counts`` name the SQL of their flips.

    ``noun`` is what is judged; ``sides`` say in a line what is before and what is after.
    """

    report: str
    counts: str
    parameters: Mapping[str, str]
    noun: str
    title: str
    sides: tuple[str, str]


def compare_gradings(
    warehouse: Warehouse, run_id: str, before: str | None, after: str | None
) -> Compared:
    """Two gradings of a run; without names, the two last finished against the gold.

    A grading is named by its id or the beginning of it, the run's own by ``run``. Raises BadInput
    for a name that is none or several, Refused where there is one grading alone.
    """
    run = open_run(warehouse.store, run_id)
    known = warehouse.rows("reports/all_gradings", run_id=run_id)
    finished = [row for row in known if row["finished_at"] and row["against"] == "gold"]
    given = {
        "from": _named(known, "from", before) if before is not None else None,
        "to": _named(known, "to", after) if after is not None else None,
    }
    later = given["to"] or _last(finished, other_than=given["from"])
    earlier = given["from"] or _last(
        [row for row in finished if row["sequence"] < later["sequence"]] or finished,
        other_than=later,
    )
    return Compared(
        "reports/flips",
        "reports/flip_counts",
        {"run_id": run_id, "before": earlier["grading"], "after": later["grading"]},
        "trajectories",
        headline(run),
        (_stated(earlier), _stated(later)),
    )


def _last(rows: Sequence[dict[str, Any]], other_than: dict[str, Any] | None) -> dict[str, Any]:
    found = [row for row in rows if row != other_than]
    if not found:
        raise Refused("there is one grading only; pacore grade makes another")
    return found[-1]


def _named(rows: Sequence[dict[str, Any]], flag: str, name: str) -> dict[str, Any]:
    """The grading a person means. Raises BadInput naming those there are."""
    found = [row for row in rows if row["grading"] == name] or [
        row for row in rows if name and row["grading"].startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(_stated(row) for row in found or rows)
    what = "may be any of" if found else "is no grading of the run; there are"
    raise BadInput(f"--{flag} {name}: {what} {listed}")


def _stated(row: Mapping[str, Any]) -> str:
    """``95f51533 (auto: math 4+mpmath-1.3.0+sympy-1.14.0)``; of the run's own ``run (auto)``."""
    by = ": ".join(part for part in (row["grader"], row["grader_version"]) if part)
    ended = "" if row["finished_at"] else ", not finished"
    return f"{row['grading']} ({by}{ended})"


def compare_runs(warehouse: Warehouse, before: str, after: str) -> Compared:
    """The answers of two runs to problems both have, by their current scores.

    Raises Refused where there is not one such answer, and where all are the same trajectories.
    """
    runs = [open_run(warehouse.store, run_id) for run_id in (before, after)]
    compared = Compared(
        "reports/run_flips",
        "reports/run_flip_counts",
        {"before": before, "after": after},
        "answers",
        f"runs {before} and {after}",
        (headline(runs[0]), headline(runs[1])),
    )
    counts = warehouse.rows(compared.counts, **compared.parameters)
    answers = sum(row["answers"] for row in counts)
    if not answers:
        raise Refused(
            f"runs {before} and {after} have no problem in common that both answered and whose gold "
            "answer is the same"
        )
    if sum(row["shared"] for row in counts) == answers:
        raise Refused(same_trajectories(after, before, answers))
    return compared


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

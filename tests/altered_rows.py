"""One thing changed in the rows of a unit; each function returns which row an audit has to name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.corruption import Row


def place(row: Row) -> str:
    return f"{row['problem_id']} replicate {row['replicate']}"


def finished(rows: list[Row]) -> Row:
    return next(row for row in rows if row["conclusion_status"] == "present")


def set_column(column: str, value: Callable[[Row], Any]) -> Callable[[list[Row]], str]:
    """Give one finished trajectory another value."""

    def alter(rows: list[Row]) -> str:
        row = finished(rows)
        row[column] = value(row)
        return f"{place(row)} slot {row['slot']}"

    return alter


def double_row(rows: list[Row]) -> str:
    row = finished(rows)
    rows.insert(rows.index(row), dict(row))
    return f"{place(row)} slot {row['slot']} attempt {row['attempt']}"


def lose_row(rows: list[Row]) -> str:
    row = finished(rows)
    rows[:] = [r for r in rows if (place(r), r["slot"]) != (place(row), row["slot"])]
    return f"{place(row)} slot {row['slot']}"


def swap_slots(rows: list[Row]) -> str:
    row = finished(rows)
    here = [r for r in rows if place(r) == place(row)]
    other = next(r for r in here if r["slot"] != row["slot"])
    one, two = row["slot"], other["slot"]
    for each in here:
        if each["slot"] in (one, two):
            each["slot"] = two if each["slot"] == one else one
    rows.sort(key=lambda r: (r["problem_id"], r["replicate"], r["slot"], r["attempt"]))
    return f"{place(row)} slot {one}"


def edit_message(rows: list[Row]) -> str:
    row = rows[-1]
    row["text"] = row["text"].replace("answer", "Answer")
    return f"{place(row)} position {row['position']}"


def reorder_messages(rows: list[Row]) -> str:
    row = next(row for row in rows if row["position"] == 2)
    first = rows[rows.index(row) - 1]
    for column in ("trajectory_id", "text", "characters"):
        first[column], row[column] = row[column], first[column]
    return f"{place(row)} position 2"


def lose_message(rows: list[Row]) -> str:
    row = next(row for row in rows if row["position"] == 2)
    rows.remove(row)
    for other in rows:
        if place(other) == place(row) and other["position"] > 2:
            other["position"] -= 1
    return f"{place(row)} position 2"


def lose_set(rows: list[Row]) -> str:
    lost = place(rows[0])
    rows[:] = [row for row in rows if place(row) != lost]
    return lost


def change_answer(rows: list[Row]) -> str:
    row = next(row for row in rows if row["status"] == "answered")
    row["answer"] = f"{row['answer']}0"
    return place(row)


def change_score(rows: list[Row]) -> str:
    row = next(row for row in rows if row["score"] == 1.0)
    row["score"] = 0.0
    return place(row)


def edit_text(rows: list[Row]) -> str:
    row = next(row for row in rows if row["reasoning"])
    row["reasoning"] = row["reasoning"].upper()
    return f"{place(row)} slot {row['slot']}"


def another_problem(rows: list[Row]) -> str:
    rows[-1]["problem_id"] = "sum-9999"
    return place(rows[-1])

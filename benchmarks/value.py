"""Whether the values of messages are right: they are planted, and the mart is asked.

    python -m benchmarks.value [--sets 1000]

Each message set has a chance that the next trajectory is right, which depends on the messages it sees; on
each set of the design one trajectory is made up by it. `mart_message_values` itself gives the values and
their intervals. Where messages add up the truth is what was planted; where they work together it is the
mean over designs of the least-squares line through the chances themselves, found by numpy. `largest` is
the bias of the message of the greatest true value of each set, `one by one` how far off values are that
are found by leaving out each message alone, with as many trajectories.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from pacore.evaluation.values.design import TriedSets, tried_sets
from pacore.warehouse.relations import sql

SEED = 15_000

AT_A_TIME = 200

DESIGNS = 150
"""Designs over which a truth is averaged that is not planted as such."""

Levels = np.ndarray[Any, Any]
"""A row for each tried set, a column for each message; 1 where it is shown."""


class Chances(NamedTuple):
    """How likely the next trajectory is right, by the levels of a set; without ``values`` these follow."""

    of: Callable[[Levels], Levels]
    values: Levels | None = None


class Planted(NamedTuple):
    """Message sets of so many messages, with chances that are drawn for each.

    Where there are fewer ``texts`` some messages are the same: they have the same value, and sets that show
    the same have one trajectory.
    """

    name: str
    messages: int
    draw: Callable[[np.random.Generator, int], Chances]
    texts: int | None = None


class Found(NamedTuple):
    """``bias`` and ``largest`` in shares, ``coverage`` of the 95 % intervals, their mean ``half`` width,
    the ``error`` of values, and of such found ``one_by_one``, as root mean squares; trajectories a message.
    """

    bias: float
    largest: float
    coverage: float
    half: float
    error: float
    one_by_one: float
    trajectories: float


def adding(base: float, spread: float) -> Callable[[np.random.Generator, int], Chances]:
    """Messages that add up: half of them shown, the chance is ``base``."""

    def draw(random: np.random.Generator, count: int) -> Chances:
        values = random.normal(0, spread, count)
        most = min(base, 1 - base) * 2
        values *= min(1.0, most / max(np.abs(values).sum(), 1e-9))
        return Chances(lambda levels: base + (levels - 0.5) @ values, values)

    return draw


def few(base: float, value: float) -> Callable[[np.random.Generator, int], Chances]:
    """One message that helps and one that misleads; the others do nothing."""

    def draw(random: np.random.Generator, count: int) -> Chances:
        values = np.zeros(count)
        values[random.choice(count, 2, replace=False)] = (value, -value)
        return Chances(lambda levels: base + levels @ values, values)

    return draw


def found_in_any(
    low: float, high: float, right: float
) -> Callable[[np.random.Generator, int], Chances]:
    """One right message is enough, whatever the others are."""

    def draw(random: np.random.Generator, count: int) -> Chances:
        is_right = random.random(count) < right
        return Chances(lambda levels: np.where(levels @ is_right > 0, high, low))

    return draw


def outvoted(
    low: float, high: float, right: float
) -> Callable[[np.random.Generator, int], Chances]:
    """More right messages than wrong ones are needed, by a smooth rule."""

    def draw(random: np.random.Generator, count: int) -> Chances:
        sides = np.where(random.random(count) < right, 1.0, -1.0)
        return Chances(lambda levels: low + (high - low) / (1 + np.exp(-2 * (levels @ sides))))

    return draw


PLANTED = (
    *(Planted("add up, about 50 %", count, adding(0.5, 0.06)) for count in (4, 8, 16, 32)),
    Planted("add up, about 20 %", 16, adding(0.2, 0.03)),
    Planted("add up, about 80 %", 16, adding(0.8, 0.03)),
    Planted("one helps, one misleads", 8, few(0.4, 0.3)),
    Planted("one helps, one misleads", 16, few(0.4, 0.3)),
    Planted("none does anything", 16, adding(0.5, 0.0)),
    Planted("one right one is enough", 8, found_in_any(0.2, 0.8, 0.2)),
    Planted("one right one is enough", 16, found_in_any(0.2, 0.8, 0.1)),
    Planted("the majority decides", 8, outvoted(0.1, 0.9, 0.5)),
    Planted("the majority decides", 16, outvoted(0.1, 0.9, 0.5)),
    Planted("three texts, of which one helps", 8, few(0.4, 0.12), 3),
    Planted("three texts, of which one helps", 16, few(0.4, 0.06), 3),
    Planted("all texts the same", 8, adding(0.5, 0.015), 1),
)


def measured(planted: Planted, sets: int, seed: int = SEED) -> Found:
    """Make up message sets, and ask the mart for the value of each message."""
    random = np.random.default_rng([seed, planted.messages, sum(map(ord, planted.name))])
    errors, alone, halves, held, largest = [], [], [], [], []
    tries = 0
    for start in range(0, sets, AT_A_TIME):
        made = [
            _made_up(planted, random, number)
            for number in range(start, min(sets, start + AT_A_TIME))
        ]
        values = _values(made)
        for one, (value, low, high) in zip(made, values, strict=True):
            errors.append(value - one.truth)
            largest.append(value[one.truth.argmax()] - one.truth.max())
            held.append((low <= one.truth) & (one.truth <= high))
            halves.append((high - low) / 2)
            alone.append(one.alone - one.truth)
            tries += len(one.scores)
    found = np.array(errors)
    return Found(
        bias=float(found.mean()),
        largest=float(np.mean(largest)),
        coverage=float(np.mean(held)),
        half=float(np.mean(halves)),
        error=float(np.sqrt(np.mean(found**2))),
        one_by_one=float(np.sqrt(np.mean(np.array(alone) ** 2))),
        trajectories=tries / (sets * planted.messages),
    )


def _of_kinds(chances: Chances, kinds: Levels) -> Chances:
    """The chances where message i is of kind ``kinds[i]``, whose values each message of the kind has."""
    of = np.eye(int(kinds.max()) + 1)[kinds]
    values = None if chances.values is None else chances.values[kinds]
    return Chances(lambda levels: np.clip(chances.of(levels @ of), 0, 1), values)


class _MadeUp(NamedTuple):
    name: str
    tried: TriedSets
    prompts: Levels
    scores: Levels
    truth: Levels
    alone: Levels


def _made_up(planted: Planted, random: np.random.Generator, number: int) -> _MadeUp:
    kinds = np.arange(planted.messages) % (planted.texts or planted.messages)
    chances = _of_kinds(planted.draw(random, len(set(kinds))), kinds)
    tried = _design(planted, f"set {number}")
    levels = np.array(tried.levels, dtype=float)
    # A prompt shows kinds of texts in their order; here any order of the same texts is one prompt.
    shown = levels @ np.eye(planted.messages)[kinds]
    prompts = np.unique(shown, axis=0, return_inverse=True)[1].ravel()
    drawn = random.random(len(levels))[prompts]
    scores = (drawn < chances.of(levels)).astype(float)
    truth = chances.values
    if truth is None:
        designs = (_design(planted, f"truth {one}") for one in range(DESIGNS))
        truth = np.mean(
            [line(np.array(one.levels, dtype=float), chances.of) for one in designs], axis=0
        )
    return _MadeUp(
        f"p{number}",
        tried,
        prompts,
        scores,
        truth,
        _one_by_one(planted, chances, random, len(levels)),
    )


def _design(planted: Planted, name: str) -> TriedSets:
    found = tried_sets("drop", [f"{name} {one}" for one in range(planted.messages)])
    assert found is not None
    return found


def line(levels: Levels, chances: Callable[[Levels], Levels]) -> Levels:
    """The coefficients of the messages in the least-squares line through the chances of some sets."""
    columns = np.column_stack([np.ones(len(levels)), levels])
    found: Levels = np.linalg.lstsq(columns, chances(levels), rcond=None)[0]
    return found[1:]


def _one_by_one(
    planted: Planted, chances: Chances, random: np.random.Generator, trajectories: int
) -> Levels:
    """Values by leaving out one message at a time; what is left of the trajectories sees all messages."""
    count = planted.messages
    without = chances.of(np.ones((count, count)) - np.eye(count))
    whole = float(chances.of(np.ones((1, count)))[0])
    both = max(1, trajectories - count)
    found: Levels = np.full(count, random.binomial(both, min(1.0, max(0.0, whole))) / both)
    found -= random.random(count) < without
    return found


def _values(made: list[_MadeUp]) -> Iterator[tuple[Levels, Levels, Levels]]:
    """What the mart says of message sets: values with both ends of their intervals."""
    rows = [row for one in made for row in _tried_rows(one)]
    by_name = {name: np.array(values).T for name, values in mart_rows(rows)}
    for one in made:
        value, low, high, _ = by_name[one.name]
        yield value, low, high


def _tried_rows(one: _MadeUp) -> Iterator[dict[str, Any]]:
    tried = zip(one.tried.levels, one.prompts, one.scores, strict=True)
    for number, (levels, prompt, score) in enumerate(tried):
        yield {
            "problem_id": one.name,
            "number": number,
            "prompt_digest": str(prompt),
            "matrix_order": one.tried.order,
            "sets": len(one.tried.levels),
            "message_ids": [f"t{place}" for place in range(len(levels))],
            "upper": [place for place, is_upper in enumerate(levels, 1) if is_upper],
            "accuracy": float(score),
            "prompt_tokens": 100.0
            + sum(10.0 * place for place, upper in enumerate(levels) if upper),
        }


def mart_rows(tried: list[dict[str, Any]]) -> list[tuple[str, list[list[float]]]]:
    """By problem what `mart_message_values` makes of rows of `tried_sets`: value, both ends of its interval
    and cost of each message, in their order.
    """
    with duckdb.connect() as connection:
        connection.register("made", pa.Table.from_pylist(tried))
        connection.execute(
            "CREATE TABLE tried_sets AS SELECT *, 'made' AS run_id, 'source' AS source_run_id, 2 AS round, "
            "'drop' AS treatment, 0 AS replicate, 1 AS episodes, NULL::DOUBLE AS generated_tokens FROM made"
        )
        for table in ("messages", "verdicts"):
            connection.execute(
                f"CREATE TABLE {table} (run_id VARCHAR, round INTEGER, problem_id VARCHAR, "
                "replicate INTEGER, position INTEGER, trajectory_id VARCHAR, verdict VARCHAR, "
                "characters INTEGER)"
            )
        connection.execute(f"CREATE VIEW student_t AS {sql('views/student_t')}")
        return connection.execute(
            "SELECT problem_id, list([value, low, high, cost_tokens] ORDER BY position) "
            f"FROM ({sql('marts/message_values')}) GROUP BY problem_id"
        ).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    asked = parser.parse_args()
    print(f"values of messages, {asked.sets:,} made-up message sets each, in points\n")
    titles = ("bias", "largest", "covered", "±", "error", "one by one", "a message")
    print(f"{'planted':28} {'K':>3}", *(f"{title:>10}" for title in titles))
    for planted in PLANTED:
        found = measured(planted, asked.sets)
        points = (found.bias, found.largest)
        errors = (found.half, found.error, found.one_by_one)
        print(
            f"{planted.name:28} {planted.messages:3}",
            *(f"{100 * one:+10.2f}" for one in points),
            f"{100 * found.coverage:9.1f}%",
            *(f"{100 * one:10.1f}" for one in errors),
            f"{found.trajectories:10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()

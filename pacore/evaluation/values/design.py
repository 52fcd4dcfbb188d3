"""The sets in which the messages of a message set are tried, to measure what each of them is worth.

A *treatment* has two levels for each message, and a tried set has one of them for each:

    drop         the message is shown, or it is left out
    swap         the message is shown, or a message of another set of the same problem in its place
    duplicate    the message is shown twice, or once

The levels are those of a Hadamard matrix: of N rows, each two columns agree in half. A column is a
message, drawn at random; a row is a tried set. The row in which every message has the lower level is
left out, as a prompt without messages is no synthesis. So of the N - 1 others each message has its
upper level in N / 2, and each two messages both have it in N / 4. N is the greatest order up to 2K, so
there are fewer than two sets a message. Three messages are the exception: all of the four sets that hold
an odd number of them.

The value of a message is the coefficient of its level in the least-squares line through the mean scores
of the tried sets. Where messages add up it is exactly what the message adds; else the mean, over the
columns it might have been drawn for, of what it adds to about half of the others.
`sql/views/tried_sets.sql` has the scores, `sql/marts/message_values.sql` the estimate with its interval.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple, get_args

from pacore.core.config.values import Treatment
from pacore.core.identity import digest
from pacore.evaluation.interventions import JudgedMessage, Messages

TREATMENTS: tuple[Treatment, ...] = get_args(Treatment)

FEWEST_MESSAGES = 2
"""Of a set with one message alone, the only other set is empty."""

Signs = tuple[tuple[bool, ...], ...]
"""The rows of a matrix of two levels; True is the upper."""


class TriedSets(NamedTuple):
    """The sets that a message set is tried in: of each message, whether it has the upper level.

    ``order`` is that of the Hadamard matrix: with one set fewer than that, the row of lower levels is
    left out.
    """

    order: int
    levels: Signs


def tried_sets(treatment: Treatment, names: Sequence[str]) -> TriedSets | None:
    """The tried sets of messages by their ids, which alone decide what is drawn; None for less than
    `FEWEST_MESSAGES`.
    """
    count = len(names)
    if count < FEWEST_MESSAGES:
        return None
    if count == 3:  # Of the matrix of order 4 a row fewer would leave less sets than unknowns.
        levels = ((True, False, False), (False, True, False), (False, False, True), (True,) * 3)
        return TriedSets(4, levels)
    order = max(found for found in range(2, 2 * count + 1) if _is_known(found))
    drawn = random.Random(digest([treatment, *names]))
    columns = drawn.sample(range(1, order), count)
    rows = _without_lower_row(order)
    return TriedSets(order, tuple(tuple(row[column] for column in columns) for row in rows))


def treated(
    treatment: Treatment, levels: Sequence[bool], own: Messages, stand_ins: Messages
) -> list[JudgedMessage]:
    """The messages of a tried set, in the order of the set itself."""
    if treatment == "drop":
        return [message for message, is_upper in zip(own, levels, strict=True) if is_upper]
    if treatment == "duplicate":
        pairs = zip(own, levels, strict=True)
        return [message for message, is_upper in pairs for _ in range(1 + is_upper)]
    trios = zip(own, stand_ins, levels, strict=True)
    return [message if is_upper else other for message, other, is_upper in trios]


def stand_ins(own: Messages, every: Messages) -> list[JudgedMessage] | None:
    """For each message of a set one of another set of the problem, no two the same; None where there are
    not so many.
    """
    shown = {message.trajectory_id for message in own}
    others = {
        message.trajectory_id: message for message in every if message.trajectory_id not in shown
    }
    if len(others) < len(own):
        return None
    drawn = random.Random(digest(["swap", [message.trajectory_id for message in own]]))
    return [others[name] for name in drawn.sample(sorted(others), len(own))]


@cache
def _without_lower_row(order: int) -> Signs:
    """A Hadamard matrix but for one row, its columns so turned that in this one all but the first are
    lower, and in the first all are upper.
    """
    *rows, last = _hadamard(order)
    found = []
    for row in rows:
        first = row[0] == last[0]
        found.append(tuple((one == first) != other for one, other in zip(row, last, strict=True)))
    return tuple(found)


@cache
def _is_known(order: int) -> bool:
    """Whether `_hadamard` has a matrix of this order."""
    if order < 4:
        return order in (1, 2)
    if order % 4:
        return False
    return _is_prime(order - 1) or _is_second(order) or _is_known(order // 2)


@cache
def _hadamard(order: int) -> Signs:
    """A square matrix of signs whose rows agree pairwise in half of the columns, and so do its columns.

    By quadratic residues (Paley's two constructions) or by doubling a smaller one (Sylvester's).
    """
    if order == 1:
        return ((True,),)
    if order >= 4 and _is_prime(order - 1):
        return tuple(_first_construction(order - 1))
    if _is_second(order):
        return tuple(_second_construction(order // 2 - 1))
    half = _hadamard(order // 2)
    return (
        *((*row, *row) for row in half),
        *((*row, *(not one for one in row)) for row in half),
    )


def _is_second(order: int) -> bool:
    prime = order // 2 - 1
    return order % 2 == 0 and prime % 4 == 1 and _is_prime(prime)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % part for part in range(2, int(number**0.5) + 1))


def _first_construction(prime: int) -> Iterator[tuple[bool, ...]]:
    """Of order prime + 1, for a prime that is 3 modulo 4."""
    squares = {number * number % prime for number in range(1, prime)}
    yield (True,) * (prime + 1)
    for row in range(prime):
        yield (
            False,
            *(row == column or (column - row) % prime in squares for column in range(prime)),
        )


def _second_construction(prime: int) -> Iterator[tuple[bool, ...]]:
    """Of order 2 (prime + 1), for a prime that is 1 modulo 4."""
    squares = {number * number % prime for number in range(1, prime)}
    size = prime + 1
    blocks = {0: ((True, False), (False, False)), 1: ((True, True), (True, False))}
    for row in range(size):
        for half in (0, 1):
            found: list[bool] = []
            for column in range(size):
                if row == column:
                    found += blocks[0][half]
                    continue
                is_plus = 0 in (row, column) or (column - row) % prime in squares
                found += [one == is_plus for one in blocks[1][half]]
            yield tuple(found)

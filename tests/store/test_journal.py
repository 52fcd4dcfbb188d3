"""The journal, and how many of its entries are read at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacore.core.problem import Turn
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request
from pacore.errors import StoreError
from pacore.store.backends.objects import AHEAD, THREADS, request_ahead
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.layout import journal_key
from tests.fixtures.stores import fresh_url


@pytest.fixture(params=["local", "s3", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Journal:
    return Journal(open_store(fresh_url(request, request.param, tmp_path)))


def _request(draw: int) -> Request:
    return Request.of(Recipe(model="m"), (Turn("user", "What is 1 + 1?"),), "prompt", draw)


def _generation(draw: int) -> Generation:
    return Generation(finish_reason="stop", content=f"The answer is {draw}.")


def test_many_entries_come_in_the_order_asked_for_and_absent_ones_as_none(journal: Journal) -> None:
    requests = [_request(draw) for draw in range(2 * AHEAD)]
    for request in requests[::3]:
        journal.add(request, _generation(request.draw), "demo")
    found = list(journal.find_many(request.trajectory_id for request in requests))
    expected = [_generation(n) if n % 3 == 0 else None for n in range(2 * AHEAD)]
    assert [entry and entry.generation for entry in found] == expected
    assert list(journal.find_many([])) == []
    assert [entry and entry.trajectory_id for entry in found] == [
        request.trajectory_id if request.draw % 3 == 0 else None for request in requests
    ]


def test_an_entry_that_cannot_be_read_is_a_store_error_naming_it(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    journal, requests = Journal(store), [_request(draw) for draw in range(3)]
    journal.add(requests[0], _generation(0), "demo")
    spoilt = journal_key(requests[1].trajectory_id)
    store.put(spoilt, b"not an entry")
    found = journal.find_many(request.trajectory_id for request in requests)
    first = next(found)
    assert first is not None and first.generation == _generation(0)
    with pytest.raises(StoreError, match=spoilt):
        next(found)


def test_values_are_asked_for_side_by_side() -> None:
    all_there = threading.Barrier(THREADS)

    def ask(key: str) -> str:
        all_there.wait(timeout=120)
        return key

    keys = [str(number) for number in range(2 * THREADS)]
    assert list(request_ahead(ask, keys)) == keys


def test_no_more_is_held_than_a_bounded_number_ahead_of_the_reader() -> None:
    asked: list[str] = []

    def ask(key: str) -> str:
        asked.append(key)
        return key

    answers = request_ahead(ask, map(str, range(1000)))
    assert [next(answers) for _ in range(5)] == list("01234")
    deadline = time.monotonic() + 120
    while len(asked) < AHEAD + 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert len(asked) == AHEAD + 5
    answers.close()  # type: ignore[attr-defined]  # it is a generator
    assert list(answers) == []


def test_a_fault_is_raised_where_its_value_would_have_come() -> None:
    def ask(key: str) -> str:
        if key == "2":
            raise StoreError("key 2 cannot be read")
        return key

    answers: Iterator[str] = request_ahead(ask, map(str, range(100)))
    assert [next(answers), next(answers)] == ["0", "1"]
    with pytest.raises(StoreError, match="key 2"):
        next(answers)
    assert list(answers) == []

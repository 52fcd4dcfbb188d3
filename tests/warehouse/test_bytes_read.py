"""How much of a store a query reads: what it asks for, and not the long texts beside it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacore.core.trajectory import Generation, Slot, Trajectory, normalise
from pacore.runs.start import start_run
from pacore.store.backends.objects import ObjectBackend
from pacore.store.backends.opening import open_store
from pacore.store.backends.services import service_of
from pacore.store.commits import current_tables, publish, write_snapshot
from pacore.store.layout import Unit
from pacore.store.run import Run
from pacore.store.schema import TABLES, Row
from pacore.warehouse.views import Warehouse
from tests.fixtures.pipeline import scripted_config
from tests.fixtures.small_store import WHEN, problem
from tests.fixtures.stores import fresh_url

PROBLEMS, WIDTH, WORDS = 8, 40, 1500


_WORDS = [f"{word}{number}" for word in ("alpha", "sum", "thus", "gives") for number in range(900)]


class CountingBackend(ObjectBackend):
    """Object storage that counts the bytes of the ranges it reads."""

    bytes_read = 0
    requests = 0

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        data = super().read_range(key, start, stop)
        self.bytes_read += len(data)
        self.requests += 1
        return data


def thought(numbers: random.Random) -> str:
    """Text that compresses no better than a model's."""
    return " ".join(numbers.choices(_WORDS, k=WORDS))


def rows(run: Run, table: str) -> Iterator[Row]:
    numbers = random.Random(7)
    for member in range(1, PROBLEMS + 1):
        for slot in range(WIDTH):
            made = Generation(
                "stop", "The answer is \\boxed{2}.", thought(numbers), 40, 3 * WORDS, "server", None,
                "scripted", latency_seconds=1.0,
            )  # fmt: skip
            made_here = Trajectory(
                place=Slot(1, f"sum-{member}", 0, slot, slot),
                trajectory_id=f"{member:016x}{slot:016x}",
                attempt=0,
                seed=slot,
                prompt_digest=f"prompt of {member}",
                generation=made,
                thought=normalise(made),
                text_run_id=run.run_id,
                generated_at=WHEN,
            )
            yield TABLES[table].row(made_here)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CountingBackend:
    url = fresh_url(request, "s3", tmp_path)
    plain = open_store(url)
    config = scripted_config(Path("x"), Path("x"), widths=(WIDTH,), run_id="demo")
    run = start_run(plain, config, config.recipe, [problem(n) for n in range(1, PROBLEMS + 1)])
    for table in ("trajectory_texts", "trajectories"):
        publish(plain, Unit("demo", table, 1, "s00000"), rows(run, table))
    write_snapshot(plain, "demo")
    return CountingBackend("s3", url.removeprefix("s3://"), service_of("s3"))


QUERIES = {
    "SELECT * FROM mart_accuracy": 0.05,
    "SELECT * FROM mart_ttc": 0.05,
    "SELECT * FROM mart_rounds": 0.05,
    "SELECT * FROM mart_failures": 0.05,
    "SELECT * FROM mart_emergence": 0.05,
    "SELECT sum(completion_tokens) FROM trajectories": 0.05,
    "SELECT count(*) FROM trajectory_texts": 0.05,
    "SELECT trajectory_id FROM trajectory_texts WHERE slot = 3": 0.05,
    "SELECT sum(length(reasoning)) FROM trajectory_texts WHERE problem_id = 'sum-1'": 0.40,
    "SELECT sum(length(reasoning)) FROM trajectory_texts": 1.05,
}
"""A query, and at most what share of the texts' bytes it may read."""


@pytest.mark.slow
def test_a_query_reads_what_it_asks_for_and_not_the_texts_beside_it(
    store: CountingBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    (texts,) = (file.bytes for file in current_tables(store, "demo")["trajectory_texts"])
    assert texts > 1_000_000
    said = [f"{'bytes':>9} {'share':>7} requests  of {texts} bytes of texts"]
    for question, share in QUERIES.items():
        with Warehouse(store) as warehouse:
            opened = store.bytes_read
            store.bytes_read, store.requests = 0, 0
            list(warehouse.query(question).rows)
            part = (opened + store.bytes_read) / texts
            said.append(f"{store.bytes_read:9} {part:7.2%} {store.requests:8}  {question}")
            assert part <= share, said[-1]
        store.bytes_read = 0
    with capsys.disabled():
        print("\n" + "\n".join(said))

"""Measured figures: one record for all benchmarks, kept as Parquet.

    results = Results("overhead", given.results)         # before anything is measured
    results.add(Figure("20000 x 20 kB", "pacore", "CPU a trajectory", "ms", flow, "engine alone", straight))

``add`` writes at once, so a benchmark that breaks off loses nothing. Figures belong to a machine: they are
in ``build/bench`` unless ``--results`` names another folder, and never part of the repository.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pacore.runs.start import producer

FOLDER = Path("build/bench/results")


@dataclass(frozen=True, slots=True)
class Figure:
    """A value measured once a run, and what it is compared with.

    ``workload`` is what was done and ``subject`` who did it. ``base`` has the values of ``ratio_to`` in the
    same runs, or one value for all of them; without values there is no ratio.
    """

    workload: str
    subject: str
    metric: str
    unit: str
    values: Sequence[float]
    ratio_to: str = ""
    base: Sequence[float] = ()
    better: Literal["lower", "higher"] = "lower"

    @property
    def ratios(self) -> list[float]:
        """Of each run: its value to that of ``ratio_to``."""
        base = list(self.base) * (len(self.values) if len(self.base) == 1 else 1)
        return [value / of for value, of in zip(self.values, base, strict=True)] if base else []


@dataclass(frozen=True, slots=True)
class Result:
    """A figure as it is stored: its values in their order, their median and range, and those of its ratio.

    The loads are averages over a minute, from before the benchmark began and when the figure was added.
    ``packages`` is JSON.
    """

    benchmark: str
    workload: str
    subject: str
    metric: str
    unit: str
    better: str
    values: list[float]
    runs: int
    median: float
    minimum: float
    maximum: float
    ratio_to: str
    ratio: float | None
    ratio_minimum: float | None
    ratio_maximum: float | None
    load_before: float
    load_after: float
    cores: int
    pacore: str
    git_revision: str | None
    git_dirty: bool | None
    python: str
    packages: str
    measured_at: datetime

    @property
    def name(self) -> tuple[str, str, str, str, str]:
        """What two measurements of the same thing have in common."""
        return self.benchmark, self.workload, self.subject, self.metric, self.ratio_to

    @property
    def line(self) -> str:
        """The figure as a benchmark prints it."""
        compared = "" if self.ratio is None else f"  {self.ratio:.3f} of {self.ratio_to}"
        return (
            f"{self.benchmark:9} {self.workload:20} {self.subject:26} {self.metric:28}"
            f" {self.median:10,.4g} {self.unit:9}{compared}"
        )


_TYPES = {
    "str": pa.string(),
    "float": pa.float64(),
    "int": pa.int32(),
    "bool": pa.bool_(),
    "list[float]": pa.list_(pa.float64()),
    "datetime": pa.timestamp("us", tz="UTC"),
}

SCHEMA = pa.schema(
    [
        (field.name, _TYPES[str(field.type).removesuffix(" | None")])
        for field in dataclasses.fields(Result)
    ]
)


class Results:
    """Where the figures of one benchmark go; made before it begins, since it reads the machine's load."""

    def __init__(self, benchmark: str, folder: Path) -> None:
        self._benchmark = benchmark
        self._folder = folder
        self._load_before = os.getloadavg()[0]
        facts: dict[str, Any] = dict(producer())
        self._machine = {**facts, "packages": json.dumps(facts["packages"])}

    def add(self, *figures: Figure) -> None:
        """Store figures that were measured together, and print each."""
        now = datetime.now(UTC)
        made = [self._result(figure, now) for figure in figures]
        for result in made:
            print(result.line, flush=True)
        rows = [dataclasses.asdict(result) for result in made]
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._benchmark}-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), self._folder / name)

    def _result(self, figure: Figure, now: datetime) -> Result:
        values, ratios = [float(value) for value in figure.values], figure.ratios
        return Result(
            benchmark=self._benchmark,
            workload=figure.workload,
            subject=figure.subject,
            metric=figure.metric,
            unit=figure.unit,
            better=figure.better,
            values=values,
            runs=len(values),
            median=statistics.median(values),
            minimum=min(values),
            maximum=max(values),
            ratio_to=figure.ratio_to if ratios else "",
            ratio=statistics.median(ratios) if ratios else None,
            ratio_minimum=min(ratios, default=None),
            ratio_maximum=max(ratios, default=None),
            load_before=self._load_before,
            load_after=os.getloadavg()[0],
            cores=os.cpu_count() or 1,
            measured_at=now,
            **self._machine,
        )


def add_option(parser: argparse.ArgumentParser) -> None:
    """``--results``: the folder that a benchmark's figures go to."""
    parser.add_argument(
        "--results", type=Path, default=FOLDER, help="folder for the figures, as Parquet"
    )


def newest(folder: Path) -> list[Result]:
    """The last measurement of each thing, in the order of benchmarks and of measuring."""
    rows = [
        Result(**row)
        for path in sorted(folder.glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    last = {result.name: result for result in sorted(rows, key=lambda one: one.measured_at)}
    return sorted(last.values(), key=lambda one: (one.benchmark, one.measured_at))

"""Measured figures are kept whole, shown on a page, and compared with what is expected of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.check import EXPECTED, Expected, faults, read_expected
from benchmarks.page import page
from benchmarks.results import Figure, Results, newest
from tests.conftest import ROOT

WALL = ("w", "pacore", "command to exit", "s")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results("makespan", tmp_path)


def expected(ratio: float, factor: float = 1.2) -> Expected:
    return Expected("makespan", "w", "pacore", "command to exit", "reference", ratio, factor)


def test_a_figure_is_read_as_it_was_added(results: Results, tmp_path: Path) -> None:
    results.add(Figure(*WALL, [3.0, 1.0, 2.0], "reference", [1.0, 1.0, 4.0]))
    (found,) = newest(tmp_path)
    assert found.values == [3.0, 1.0, 2.0]
    assert (found.runs, found.median, found.minimum, found.maximum) == (3, 2.0, 1.0, 3.0)
    assert found.name == ("makespan", "w", "pacore", "command to exit", "reference")
    assert found.measured_at.utcoffset() is not None
    assert found.cores > 0


def test_a_ratio_is_the_median_of_the_ratios_of_the_runs(results: Results, tmp_path: Path) -> None:
    results.add(Figure(*WALL, [3.0, 1.0, 2.0], "reference", [1.0, 1.0, 4.0]))
    (found,) = newest(tmp_path)
    assert (found.ratio, found.ratio_minimum, found.ratio_maximum) == (1.0, 0.5, 3.0)


def test_one_value_to_compare_with_is_that_of_every_run(results: Results, tmp_path: Path) -> None:
    results.add(Figure(*WALL, [3.0, 1.0], "aim", [2.0]), Figure(*WALL, [3.0]))
    aimed, alone = newest(tmp_path)
    assert aimed.ratio == 1.0
    assert alone.ratio is None


def test_the_last_measurement_stands_for_those_before_it(results: Results, tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        results.add(Figure(*WALL, [value], "reference", [1.0]))
    assert [one.median for one in newest(tmp_path)] == [2.0]


@pytest.mark.slow
@given(st.floats(0.01, 100), st.floats(1.01, 3))
def test_an_equal_ratio_passes_and_one_worse_than_the_factor_does_not(
    tmp_path_factory: pytest.TempPathFactory, ratio: float, factor: float
) -> None:
    for better, worse in (("lower", ratio * factor * 1.01), ("higher", ratio / factor / 1.01)):
        folder = tmp_path_factory.mktemp("figures")
        for value, count in ((ratio, 0), (worse, 1)):
            Results("makespan", folder).add(
                Figure(*WALL, [value], "reference", [1.0], better)  # type: ignore[arg-type]
            )
            found = list(faults([expected(ratio, factor)], newest(folder)))
            assert len(found) == count
            assert all("makespan, w: pacore, command to exit / reference" in one for one in found)


def test_a_ratio_that_its_benchmark_no_longer_measures_is_named(
    results: Results, tmp_path: Path
) -> None:
    assert list(faults([expected(1.0)], [])) == []
    results.add(Figure("other", *WALL[1:], [1.0], "reference", [1.0]))
    (found,) = faults([expected(1.0)], newest(tmp_path))
    assert found.endswith("not measured")


def test_the_file_of_the_repository_is_read_and_names_each_ratio_once() -> None:
    found = read_expected(EXPECTED)
    assert len({one.name for one in found}) == len(found) > 0
    assert all(one.ratio > 0 and one.factor > 1 for one in found)


@pytest.mark.slow
def test_the_check_ends_with_1_where_a_ratio_is_worse(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text(
        '[[ratio]]\nbenchmark = "makespan"\nworkload = "w"\nsubject = "pacore"\n'
        'metric = "command to exit"\nratio_to = "reference"\nratio = 1.0\nfactor = 1.5\n'
    )
    command = [
        sys.executable, "-m", "benchmarks.check", "--results", str(tmp_path), "--expected", str(file),
    ]  # fmt: skip
    for value, code in ((1.0, 0), (2.0, 1)):
        results.add(Figure(*WALL, [value], "reference", [1.0]))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert ("2 is above 1.5 (expected 1, factor 1.5)" in done.stdout) == bool(code)


@pytest.mark.slow
def test_the_page_needs_no_other_file_and_shows_names_as_they_are(
    results: Results, tmp_path: Path
) -> None:
    results.add(
        Figure("4 in flight", "<b>pacore", "CPU", "ms", [2.0], "client", [1.0]),
        Figure("9 in flight", "<b>pacore", "CPU", "ms", [3.0], "client", [1.0]),
        Figure("9 in flight", "part: journal", "CPU", "ms", [1.0]),
        Figure(*WALL, [12345.0, 12346.0], "reference", [1000.0, 1000.0]),
    )
    drawn = page(newest(tmp_path))
    assert "&lt;b&gt;pacore" in drawn
    assert "<b>" not in drawn
    assert "12,346" in drawn
    assert "src=" in drawn
    assert drawn.count("src=") == drawn.count('src="data:image/svg+xml;base64,')

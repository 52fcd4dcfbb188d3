"""What a person reads: golden files, and model text that can do nothing but be read."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput, Refused
from pacore.report.plan import forecast_sheet
from pacore.report.problem import problem_of_run, problem_sheet
from pacore.report.query import query_output
from pacore.report.rendering.terminal import fitted, to_text
from pacore.report.run import failures_sheet, next_commands, result_sheet, run_figure, run_results
from pacore.report.status import status_sheet
from pacore.runs.dispatch.progress import Progress
from pacore.runs.planning.forecast import Forecast, RoundForecast, TooLong
from pacore.store.backends.opening import open_store
from pacore.store.backends.protocol import Backend
from pacore.text import CONTROLS, excerpt, visible, visible_lines
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore
from tests.fixtures.golden_files import golden
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.small_store import (
    begin_run,
    problem,
    publish_rows,
    rows_of,
    select,
    small_store,
)

WIDTH = 100


HOSTILE = (
    "\x1b[31mred\x1b[0m \x9b2J \x07 [bold red]markup[/] [link=file:///etc]x[/link] :smile: "
    "\u202egnp.exe\u202c \u2066a\u2069 one\rtwo \x1b]8;;http://x\x1b\\ \ufeff\U000e0041 end"
)


STEERING = re.compile(f"(?!\n)[{CONTROLS}]")


def is_golden(name: str, shown: str) -> bool:
    return shown + "\n" == golden(f"report/{name}", shown + "\n")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return small_store(tmp_path_factory.mktemp("report") / "store")


@pytest.fixture(scope="module")
def warehouse(store: Backend) -> Iterator[Warehouse]:
    with Warehouse(store) as opened:
        yield opened


def output(warehouse: Warehouse, text: str, form: str, width: int = WIDTH) -> str:
    return "".join(query_output(warehouse.query(text), form, width))


def forecast() -> Forecast:
    first, second, last = Plan(widths=(32, 4)).steps
    rounds = [
        RoundForecast(first, 128, 32, 0, 0, 32, {"night": 40, "morning": 24}),
        RoundForecast(second, 16, 8, 8, 0, 4, {"night": 4}),
        RoundForecast(last, 4, 2, 2, sources={"night": 2}),
    ]
    why = "131073 prompt tokens and 1 to generate do not fit a window of 131072"
    too_long = [TooLong(1, "sum-0003", why), TooLong(2, "sum-0001", why)]
    return Forecast(4, 2, rounds, 65536, 131072, too_long, 2, 3)


# Golden files.


@pytest.mark.slow
def test_results_read_as_they_should(warehouse: Warehouse) -> None:
    now = iter((100.0, 107.4))
    progress = Progress(
        planned=16, generated=12, unfinished=4, completion_tokens=333, clock=lambda: next(now)
    )
    progress.work(True)
    progress.work(False)
    progress.finished_seconds = 12.34
    shown = to_text(result_sheet(run_results(warehouse, "demo"), progress), WIDTH)
    assert is_golden("results.txt", shown)


@pytest.mark.parametrize("problem_id", ["sum-1", "sum-2", "sum-3", "sum-4"])
def test_a_problem_reads_as_it_should(warehouse: Warehouse, problem_id: str) -> None:
    shown = to_text(problem_sheet(problem_of_run(warehouse, "demo", problem_id)), WIDTH)
    assert is_golden(f"show-{problem_id}.txt", shown)


@pytest.mark.slow
def test_status_failures_forecast_and_next_commands_read_as_they_should(
    warehouse: Warehouse,
) -> None:
    assert is_golden("status.txt", to_text(status_sheet(warehouse.store, None), WIDTH))
    assert is_golden("failures.txt", to_text(failures_sheet(run_results(warehouse, "demo")), WIDTH))
    assert is_golden("next.txt", next_commands(run_results(warehouse, "demo"), "my store"))
    assert is_golden("forecast.txt", to_text(forecast_sheet(forecast()), WIDTH))


# Numbers and cuts.


@pytest.mark.slow
def test_thirty_problems_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl", 33),
        widths=(),
        run_id="many",
    )
    run_stages(config)
    with Warehouse(open_store(config.store)) as warehouse:
        shown = to_text(result_sheet(run_results(warehouse, "many")), WIDTH)
    assert shown.count("sum-00") == 30
    assert "… and 3 more problems" in shown
    assert "of 33 answers scored" in shown
    assert "tokens/s" not in shown


@pytest.mark.slow
def test_replicates_are_a_line_a_problem_with_the_share_that_is_right(tmp_path: Path) -> None:
    config = scripted_config(
        tmp_path / "store",
        write_problems(tmp_path / "problems.jsonl", 3),
        model="scripted?words=5&empty=0.3",
        widths=(2,),
        replicates=9,
        early_stop=0,  # the first that come may be empty
        run_id="many",
    )
    run_stages(config)
    with Warehouse(open_store(config.store)) as warehouse:
        found = run_results(warehouse, "many")
        asked = "SELECT problem_id, score FROM scores ORDER BY ALL"
        scored: dict[str, list[float]] = {}
        for name, score in warehouse.query(asked).rows:
            scored.setdefault(name, []).append(score)
        page = to_text(result_sheet(found), 80)
        lines = to_text(problem_sheet(problem_of_run(warehouse, "many", "sum-0000")), 80)
        one = to_text(problem_sheet(problem_of_run(warehouse, "many", "sum-0000", replicate=8)), 80)
        every = to_text(
            problem_sheet(
                problem_of_run(warehouse, "many", "sum-0000", is_whole=True), is_whole=True
            ),
            80,
        )
        with pytest.raises(BadInput, match="--replicate 9: run many has replicates 0 to 8"):
            problem_sheet(problem_of_run(warehouse, "many", "sum-0000", replicate=9))
    assert len(found.results) == 3
    for row in found.results:
        given = scored[row.problem]
        assert (row.scored, row.correct) == (len(given), sum(score == 1 for score in given))
        assert row.accuracy == pytest.approx(sum(given) / len(given))
        assert f"{row.problem}  {row.correct} of {row.scored}" in page
        counted = [
            int(part.split("\u00d7")[1]) for part in str(row.answer).split(", ") if "\u00d7" in part
        ]
        assert counted == sorted(counted, reverse=True)
        assert len(counted) <= 4
        assert sum(counted) == 9 or "other" in str(row.answer)
    numbers = [line.split()[0] for line in lines.splitlines() if re.match(r" +\d  ", line)]
    assert numbers == [str(number) for number in range(9)]
    assert "round 1 of 2" not in lines
    assert "replicate 8" in one and "replicate 7" not in one and "round 1 of 2" in one
    assert [f"replicate {number}" in every for number in range(10)] == [True] * 9 + [False]


@pytest.mark.slow
def test_the_figure_of_a_run_has_accuracy_with_intervals_and_tokens_by_round(
    warehouse: Warehouse,
) -> None:
    figure = run_figure(warehouse, "demo")
    accuracy, tokens = figure.axes
    assert figure.get_suptitle() == "Accuracy and tokens by round: run demo · scripted · K = [3, 1]"
    named = [label.get_text() for label in accuracy.get_xticklabels()]
    assert named == ["round 1, width 3\nnot graded", "round 2, width 1"]
    assert [text.get_text() for text in accuracy.texts] == ["33.3 %"]
    assert len(accuracy.containers) == 1
    asked = "SELECT sum(completion_tokens) FROM trajectories GROUP BY round ORDER BY round"
    given = [float(count) for (count,) in warehouse.query(asked).rows]
    heights = [[bar.get_height() for bar in part] for part in tokens.containers]
    assert [sum(parts) for parts in zip(*heights, strict=True)] == given


def test_one_replicate_is_asked_for_with_its_problem(command: Pacore, tmp_path: Path) -> None:
    done = command("show", "some", "--replicate", "1", "--store", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2,
        "pacore: --replicate: is for one problem; name it after the run\n",
    )


def test_status_of_a_run_under_way_counts_shards_by_round(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    begin_run(store, [problem(number) for number in range(1, 5)])
    begun = {u: r for u, r in rows_of().items() if u.round == 1 or u.shard == "s00000"}
    publish_rows(store, begun)
    row = to_text(status_sheet(store, ["demo"]), WIDTH).splitlines()[-1].split()
    assert row == ["demo", "open", "2/2", "1/2", "11/16", "0", "321", "0", "run"]
    assert to_text(status_sheet(open_store(str(tmp_path / "empty")))) == "no runs in this store"
    with pytest.raises(Refused):
        to_text(status_sheet(store, ["other"]))


def test_an_unknown_problem_is_bad_input_that_names_close_ones(warehouse: Warehouse) -> None:
    with pytest.raises(BadInput, match=r"no problem 'sum_2' .did you mean .*sum-2"):
        to_text(problem_sheet(problem_of_run(warehouse, "demo", "sum_2")))
    with pytest.raises(BadInput, match=r"the first of its 4 problems: sum-1, sum-2, sum-3, sum-4$"):
        to_text(problem_sheet(problem_of_run(warehouse, "demo", "quite another")))


@pytest.mark.slow
@pytest.mark.parametrize("width", [30, 60, 100, 300])
def test_no_line_of_a_report_is_wider_than_the_terminal(warehouse: Warehouse, width: int) -> None:
    shown = [
        to_text(result_sheet(run_results(warehouse, "demo")), width),
        to_text(problem_sheet(problem_of_run(warehouse, "demo", "sum-3")), width),
        to_text(status_sheet(warehouse.store, None), width),
        to_text(forecast_sheet(forecast()), width),
        output(warehouse, "FROM trajectories LIMIT 3", "table", width),
    ]
    assert max(cell_len(line) for text in shown for line in text.splitlines()) <= width


@given(st.lists(st.integers(1, 80), min_size=1, max_size=12), st.integers(0, 200))
def test_columns_are_cut_widest_first_until_they_fit(widths: list[int], room: int) -> None:
    found = fitted(widths, room, [1] * len(widths))
    assert sum(found) <= max(room, len(widths))
    assert all(1 <= cut <= width for cut, width in zip(found, widths, strict=True))
    if sum(widths) <= room:
        assert found == widths
    else:
        cuts = [cut for cut, width in zip(found, widths, strict=True) if cut < width]
        assert max(found) <= min(cuts, default=1) + 1


@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(1, 80)), min_size=1, max_size=12),
    st.integers(0, 200),
)
def test_columns_keep_what_they_need_at_least_while_others_can_give_way(
    columns: list[tuple[int, int]], room: int
) -> None:
    widths, least = [max(pair) for pair in columns], [min(pair) for pair in columns]
    found = fitted(widths, room, least)
    assert sum(found) <= max(room, len(widths))
    if sum(least) <= room:
        assert all(kept >= needed for kept, needed in zip(found, least, strict=True))


# Hostile text.


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A run in which everything that comes from outside tries to steer the terminal."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = rows_of()
    for unit, members in rows.items():
        for row in members:
            for name in ("conclusion", "text", "answer", "error", "reason", "gold", "content"):
                if row.get(name) is not None:
                    row[name] = HOSTILE + "\x00"
            row["problem_id"] = f"{row['problem_id']}\u202e[b]"
        assert unit.run_id == "demo"
    problems = [
        Problem(f"sum-{number}\u202e[b]", (Turn("user", HOSTILE),), HOSTILE)
        for number in range(1, 5)
    ]
    store = open_store(str(folder / "store"))
    begin_run(store, problems)
    publish_rows(store, rows)
    with Warehouse(store) as opened:
        yield opened


def is_harmless(shown: str) -> bool:
    return STEERING.search(shown) is None


@pytest.mark.slow
def test_hostile_text_is_written_out_in_every_report(hostile: Warehouse) -> None:
    reports = [
        to_text(result_sheet(run_results(hostile, "demo")), 300),
        to_text(failures_sheet(run_results(hostile, "demo")), 300),
        next_commands(run_results(hostile, "demo"), "./store"),
        *(
            to_text(problem_sheet(problem_of_run(hostile, "demo", f"sum-{n}\u202e[b]")), 300)
            for n in range(1, 5)
        ),
        output(hostile, "SELECT problem_id, conclusion FROM trajectories", "table"),
        output(hostile, "FROM trajectories", "table"),
        output(hostile, 'SELECT 1 AS "\x1b[2J [red]x[/]"', "table"),
    ]
    for shown in reports:
        assert is_harmless(shown)
    problem_shown = reports[3]
    assert "\\x1b[31mred\\x1b[0m \\x9b2J \\x07 [bold red]markup[/]" in problem_shown
    assert "[link=file:///etc]x[/link] :smile: \\u202egnp.exe\\u202c" in problem_shown
    assert "one\\rtwo" in problem_shown and "\\U000e0041" in problem_shown
    assert "\\x1b[2J [red]x[/]" in reports[-1]
    with pytest.raises(BadInput) as unknown:
        to_text(problem_sheet(problem_of_run(hostile, "demo", "sum-1")))
    with pytest.raises(BadInput) as wrong:
        output(hostile, "SELECT conclusion::INTEGER FROM trajectories", "json")
    for error in (unknown, wrong):
        assert is_harmless(str(error.value))
    assert "\\x1b[31mred" in str(wrong.value)


def test_csv_and_json_keep_hostile_text_as_it_is(hostile: Warehouse) -> None:
    text = "SELECT problem_id, conclusion FROM trajectories WHERE conclusion IS NOT NULL"
    read = list(csv.DictReader(io.StringIO(output(hostile, text, "csv"), newline="")))
    assert {row["conclusion"] for row in read} == {HOSTILE + "\x00"}
    written = output(hostile, text, "json")
    assert is_harmless(written)
    assert {row["conclusion"] for row in json.loads(written)} == {HOSTILE + "\x00"}
    assert {row["problem_id"][-4:] for row in json.loads(written)} == {"\u202e[b]"}


@given(st.text(st.characters(codec="utf-8")))
def test_no_text_keeps_a_character_that_steers(text: str) -> None:
    assert STEERING.search(visible(text)) is None and "\n" not in visible(text)
    assert STEERING.search(visible_lines(text)) is None
    assert visible(visible(text)) == visible(text)
    assert STEERING.search(visible(excerpt(text, 20))) is None
    assert len(excerpt(text, 20)) <= 20


def on_a_terminal(code: str, *arguments: str) -> str:
    """Everything a Python program writes to a terminal of 100 columns."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment,
        cwd=ROOT,
    ) as process:  # fmt: skip
        os.close(follower)
        written = b""
        while chunk := _read(leader):
            written += chunk
        assert process.wait() == 0, written.decode()
    os.close(leader)
    return written.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # Linux says EIO once the last process has closed the terminal.
        return b""


@pytest.mark.slow
def test_on_a_terminal_only_the_reports_own_styles_are_escapes(hostile: Warehouse) -> None:
    code = (
        "import sys; from pacore.report.problem import problem_of_run, problem_sheet\n"
        "from pacore.report.rendering.terminal import to_text\n"
        "from pacore.store.backends.opening import open_store\n"
        "from pacore.warehouse.views import Warehouse\n"
        "with Warehouse(open_store(sys.argv[1])) as warehouse:\n"
        "    print(to_text(problem_sheet(problem_of_run(warehouse, 'demo', sys.argv[2]))))\n"
    )
    root = str(Path(hostile.store.uri("runs")).parent)
    shown = on_a_terminal(code, root, "sum-1\u202e[b]")
    assert "\x1b[1m" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r\n", "\n")
    assert is_harmless(plain)
    assert "\\x1b[31mred\\x1b[0m" in plain


@pytest.mark.slow
def test_live_progress_shows_how_far_the_run_is_and_leaves_nothing_behind() -> None:
    code = (
        "import time\nfrom pacore.runs.dispatch.progress import Progress\n"
        "from pacore.api.progress import live_progress\n"
        "progress = Progress(planned=10)\n"
        "with live_progress(progress):\n"
        "    progress.add(generated=3, completion_tokens=42); time.sleep(0.6)\n"
        "print('done')\n"
    )
    shown = on_a_terminal(code)
    assert "3/10 trajectories" in shown and "42 tokens" in shown
    assert shown.rstrip().endswith("done")


def test_a_long_final_message_is_cut_and_the_rest_counted(tmp_path: Path) -> None:
    rows = rows_of()
    select(rows, "messages", problem_id="sum-1", round=2)[0]["text"] = "x" * 5000
    with Warehouse(small_store(tmp_path / "store", rows)) as warehouse:
        shown = to_text(problem_sheet(problem_of_run(warehouse, "demo", "sum-1")), WIDTH)
    assert "… and 1,000 more characters" in shown
    assert shown.count("x") < 4100

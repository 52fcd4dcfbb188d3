"""What a notebook does: plan, run, evaluate, compare, query; and what it is shown of each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import pacore
from tests.conftest import ROOT
from tests.fixtures.hostile import HOSTILE
from tests.fixtures.pipeline import scripted_config, tables, write_problems

PROBLEMS = 5


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pacore.Store:
    """A store with two graded runs, ``mine`` and ``wider``, made without Prefect."""
    folder = tmp_path_factory.mktemp("notebook")
    problems = write_problems(folder / "problems.jsonl", PROBLEMS)
    for run_id, width in (("mine", 2), ("wider", 4)):
        config = scripted_config(
            folder / "store", problems, widths=(width,), shard_size=2, run_id=run_id, replicates=2
        )
        pacore.run(config, progress=False)
    opened = pacore.open_store(str(folder / "store"))
    opened.evaluate(["mine", "wider"], progress=False)
    return opened


class Tags(HTMLParser):
    """The tags and the text of a page; tags that are left open are an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all(name == "style" for name, _ in attrs)
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.slow
def test_a_run_is_planned_made_and_made_again_at_no_cost(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    config = scripted_config(tmp_path / "store", problems, widths=(2,), run_id="mine")
    planned = pacore.plan(config)
    assert [one.trajectories for one in planned.data.forecast.rounds] == [10, 5]
    assert "to generate" in str(planned) and "<table>" in planned._repr_html_()
    report = pacore.run(config, progress=False)
    assert (report.run_id, report.failed) == ("mine", [])
    assert f"{PROBLEMS} of {PROBLEMS} answers scored" in str(report)
    before = tables(config.store, "mine")
    assert str(pacore.run(config, progress=False)) == str(report)
    assert tables(config.store, "mine") == before
    assert str(pacore.resume("mine", store=config.store, progress=False)) == str(report)


def test_a_run_says_how_it_proceeds_on_stderr_unless_it_is_not_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    pacore.run(scripted_config(tmp_path / "store", problems, widths=(), run_id="loud"))
    shown = capsys.readouterr()
    assert f"{PROBLEMS}/{PROBLEMS} trajectories" in shown.err and not shown.out
    config = scripted_config(tmp_path / "store", problems, widths=(), run_id="quiet")
    pacore.run(config, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_run_through_prefect_gives_the_same_tables(
    tmp_path: Path, prefect_api: str, store: pacore.Store
) -> None:
    assert prefect_api
    problems = write_problems(tmp_path / "problems.jsonl", PROBLEMS)
    config = scripted_config(
        tmp_path / "store", problems, widths=(2,), shard_size=2, run_id="mine", replicates=2
    )
    report = pacore.run(config, prefect=True, progress=False)
    assert report.data.totals.planned == 2 * PROBLEMS
    pacore.evaluate("mine", store=config.store, prefect=True)
    made, expected = tables(config.store, "mine"), tables(store.url, "mine")
    assert made == expected


def test_a_run_that_is_not_there_and_a_wrong_setting_are_errors_of_pacore(
    store: pacore.Store, tmp_path: Path
) -> None:
    with pytest.raises(pacore.Refused, match="no run 'other'"):
        pacore.resume("other", store=store.url)
    with pytest.raises(pacore.BadInput, match="concurrency"):
        pacore.resume("mine", store=store.url, concurrency=0)
    with pytest.raises(pacore.BadInput, match="grader"):
        pacore.evaluate("mine", store=store.url, grader="nonsense")
    with pytest.raises(pacore.BadInput, match="no such folder"):
        pacore.open_store(str(tmp_path / "nothing"))
    with pytest.raises(pacore.BadInput, match="compared with itself"):
        store.compare("mine", "mine")


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"seed_root": "b"}, {"widths": (8,)}])
def test_a_run_is_not_resumed_with_settings_of_another(
    store: pacore.Store, change: dict[str, Any]
) -> None:
    with pytest.raises(pacore.Refused, match=f"{next(iter(change))}: .* -> "):
        pacore.resume("mine", store=store.url, progress=False, **change)


def test_an_evaluation_has_measures_by_run_a_page_and_a_figure(store: pacore.Store) -> None:
    report = store.evaluate(["mine", "wider"], progress=False)
    assert list(report.data) == ["mine", "wider"]
    assert report.data["mine"].totals.scored == 2 * PROBLEMS
    assert "pass@2" in str(report)
    (axes,) = report.figure().axes
    legend = axes.get_legend()
    assert legend is not None
    assert {text.get_text().split(":")[0] for text in legend.get_texts()} == {"mine", "wider"}


def test_a_comparison_has_a_difference_a_page_and_a_figure(store: pacore.Store) -> None:
    report = store.compare("mine", "wider", margin=0.5)
    assert report.data.paired.problems == PROBLEMS
    assert report.data.equivalence is not None
    (axes,) = report.figure().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mine", "wider"]
    assert "points" in axes.get_title()


def test_the_mechanism_of_a_run_has_a_page_and_a_figure(store: pacore.Store) -> None:
    report = store.mechanism("wider")
    assert report.data[0].run_id == "wider"
    assert "answer is a message's" in str(report)
    assert report.figure().axes


def test_a_report_is_written_as_markdown_latex_html_and_json(store: pacore.Store) -> None:
    report = store.compare("mine", "wider")
    page = Tags(report.written("html"))
    assert {"table", "th", "td"} <= set(page.tags) and "accuracy" in page.text
    assert re.search(r"^\| accuracy \|", report.written("markdown"), re.M)
    latex = report.written("latex")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"\%" in latex and not re.search(r"(?<!\\)[%#]", latex)
    assert '"paired"' in report.written("json")


@pytest.mark.slow
def test_json_has_what_the_pages_show(store: pacore.Store) -> None:
    evaluated = json.loads(store.evaluate("wider").written("json"))["wider"]
    assert [row["stands"] for row in evaluated["gradings"]].count(True) == 1
    assert [row["round"] for row in evaluated["verdicts"]] == [1, 2]
    assert (
        evaluated["totals"]["accuracy"] is not None and evaluated["rounds"] and evaluated["pools"]
    )
    compared = json.loads(store.compare("mine", "wider").written("json"))
    assert {"first", "second", "paired", "sharing"} <= compared.keys()
    assert len(json.loads(store.results("mine").written("json"))["results"]) == PROBLEMS
    lines = json.loads(store.problem("mine", "sum-0001").written("json"))
    assert [row["replicate"] for row in lines["replicates"]] == list(
        range(len(lines["replicates"]))
    )
    one = json.loads(store.problem("mine", "sum-0001", replicate=0).written("json"))
    assert one["named"] == [0] and one["slots"] and one["answers"] and not one["replicates"]


@pytest.mark.slow
def test_each_table_of_latex_is_a_float_with_a_caption_and_a_label_of_its_own(
    store: pacore.Store,
) -> None:
    latex = store.compare("mine", "wider").written("latex")
    assert r"\caption{Difference between runs mine and wider.}" in latex
    assert r"\label{tab:difference-between-runs-mine-and-wider}" in latex
    latex = store.evaluate("wider").written("latex")
    floats = latex.count(r"\begin{table}[htbp]")
    labels = re.findall(r"\\label\{tab:([a-z0-9-]+)\}", latex)
    assert floats == latex.count(r"\end{table}") == latex.count(r"\caption{") == len(labels) > 3
    assert len(set(labels)) == len(labels) and "run-wider-accuracy-and-cost" in labels
    assert r"K = {[}4, 1{]}" in latex


def test_latex_of_a_page_of_text_keeps_its_title_and_equal_captions_get_labels_apart() -> None:
    from pacore.report.rendering.markup import to_latex_tables
    from pacore.report.rendering.sheet import Facts, Heading, Note, Part, Sheet

    assert to_latex_tables(Sheet("a & b", [[Note("x--y")]])) == "\\paragraph{a \\& b}\n\nx-{}-y\n"
    parts: list[Part] = [Heading("one"), Facts([("[a]", "*")]), Facts([("  b", "")])]
    latex = to_latex_tables(Sheet(None, [parts]))
    assert r"\paragraph" not in latex
    assert re.findall(r"\\label\{(.*?)\}", latex) == ["tab:one", "tab:one-2"]
    assert r"{[}a{]} & {*} \\" in latex and r"\quad b &  \\" in latex


def test_a_report_without_a_figure_says_so(store: pacore.Store) -> None:
    with pytest.raises(pacore.Refused, match="no figure"):
        store.status().figure()


def test_a_store_lists_and_shows_its_runs(store: pacore.Store) -> None:
    assert store.runs == ["mine", "wider"]
    assert store.run("wider").plan.configuration == "[4, 1]"
    assert "wider" in store._repr_html_() and "complete" in str(store.status(["mine"]))
    assert "--widths 4" in str(store.configuration("wider"))
    assert "sum-0001" in str(store.results("mine"))
    said = store.methods("wider")
    assert "5 problems of the set problems" in said and "K = [4, 1], repeated 2 times" in said
    assert "temperature 1, top-p 1" in said and f"pacore {pacore.__version__}" in said
    assert "round 2 of 2" in str(store.problem("mine", "sum-0001", is_whole=True))


def test_a_query_gives_arrow_pandas_polars_and_rows_of_the_same_values(store: pacore.Store) -> None:
    found = store.query(
        "SELECT run_id, count(*) AS n, [1, 2] AS list FROM trajectories GROUP BY run_id ORDER BY run_id"
    )
    assert found.columns == ("run_id", "n", "list")
    assert found.rows == [("mine", 30, [1, 2]), ("wider", 50, [1, 2])] and len(found) == 2
    assert found.to_arrow().column("n").to_pylist() == [30, 50]
    assert found.to_polars()["list"].to_list() == [[1, 2], [1, 2]]
    assert "wider" in str(found) and Tags(found._repr_html_()).tags.count("tr") == 3
    assert store.query("SELECT DISTINCT run_id FROM trajectories", ["mine"]).rows == [("mine",)]
    with pytest.raises(pacore.Refused):
        store.query("DROP TABLE trajectories")
    with pytest.raises(pacore.BadInput):
        store.query("SELECT nothing FROM trajectories")


@pytest.mark.slow
def test_a_query_gives_a_data_frame_where_pandas_is_installed(store: pacore.Store) -> None:
    code = f"""
import pacore
found = pacore.open_store({store.url!r}).query("SELECT run_id, count(*) AS n FROM trajectories GROUP BY 1")
frame = found.to_pandas()
assert dict(zip(frame["run_id"], frame["n"])) == dict(mine=30, wider=50), frame
"""
    folder = ROOT / ".venv" / "pandas"
    assert (folder / "pandas").exists(), "make test installs it"
    for path, ends in (((ROOT, folder), ""), ((ROOT,), "pandas is not installed")):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert bool(done.returncode) is bool(ends)
        assert ends in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE.values())
def test_what_a_model_wrote_is_shown_as_itself_in_html_and_latex(text: str) -> None:
    from pacore.report.rendering.markup import to_html, to_latex_tables
    from pacore.report.rendering.sheet import (
        TEXT,
        Facts,
        Heading,
        Note,
        Part,
        Passage,
        Sheet,
        table,
    )

    parts: list[Part] = [
        table([text], (text, TEXT, lambda row: row)), Facts([(text, text)]), Heading(text), Note(text),
        Passage(text),
    ]  # fmt: skip
    sheet = Sheet(text, [parts])
    shown = Tags(to_html(sheet))
    assert set(shown.tags) <= {
        "div", "h3", "h4", "p", "pre", "table", "thead", "tbody", "tr", "th", "td"
    }  # fmt: skip
    latex = to_latex_tables(sheet)
    commands = set(re.findall(r"\\([a-zA-Z]+)", latex))
    assert commands <= {
        "begin", "end", "toprule", "midrule", "bottomrule", "paragraph", "linewidth", "textbackslash",
        "textasciicircum", "textasciitilde", "textperiodcentered", "ldots", "textbullet", "approx", "geq",
        "textless", "textgreater", "textbar", "textquotedbl", "textasciigrave", "rightarrow", "leq",
        "times", "quad", "caption", "label", "centering",
    }  # fmt: skip


@pytest.mark.slow
def test_the_example_of_the_package_works_as_it_is_written(tmp_path: Path) -> None:
    assert pacore.__doc__ is not None
    lines = [line[4:] for line in pacore.__doc__.splitlines() if line.startswith("    ")]
    code = "\n".join(lines)
    wanted = re.sub(r'model="NAME", endpoints=\[[^]]*\]', 'engine="scripted", widths=(2,)', code)
    assert wanted != code
    write_problems(tmp_path / "my.jsonl", PROBLEMS)
    made = (
        "import pacore\n"
        "pacore.run(pacore.RunConfig(problems='my.jsonl', engine='scripted', widths=(1,), "
        "run_id='baseline'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", made + wanted], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

"""The catalogue: every relation and every public column described, as they are; and names that are near."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacore.errors import BadInput
from pacore.report.rendering.catalog import catalog_sheet, relation_sheet
from pacore.report.rendering.terminal import to_text
from pacore.warehouse.catalog import catalog, explained, find_relation
from pacore.warehouse.relations import MARTS, RELATIONS
from pacore.warehouse.views import Warehouse
from tests.conftest import ROOT, Pacore
from tests.fixtures.golden_files import golden
from tests.fixtures.small_store import small_store

TABLES = {
    "runs", "problems", "trajectories", "all_trajectories", "trajectory_texts", "messages", "prompts",
    "answers", "scores", "verdicts", "all_verdicts", "gradings", "outcomes", "prices", "nights",
    "training_decisions", "stops",
}  # fmt: skip
PUBLIC = sorted(TABLES | {f"mart_{name}" for name in MARTS})

UNITS = {
    "_tokens": "tokens",
    "_seconds": "seconds",
    "_characters": "characters",
    "_at": "UTC",
    "_rate": "[0, 1]",
    "accuracy": "[0, 1]",
    "score": "[0, 1]",
    "money": "currency",
}
"""The unit of a column of numbers or times by the end of its name."""
NUMBERS = ("DOUBLE", "BIGINT", "INTEGER", "TIMESTAMP")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with Warehouse(small_store(tmp_path_factory.mktemp("catalog") / "store")) as opened:
        yield opened


def test_every_relation_has_a_sentence_with_its_grain() -> None:
    assert set(catalog()) == set(RELATIONS)
    for relation in catalog().values():
        assert re.fullmatch(r"One row per [^.].*\.", relation.sentence), relation.name


def test_tables_and_marts_are_public_and_the_documents_name_them() -> None:
    assert sorted(name for name, one in catalog().items() if one.columns) == PUBLIC
    groups = [one.group for one in catalog().values()]
    assert groups == sorted(groups, key=("table", "mart", "part").index)
    page = (ROOT / "docs" / "query.md").read_text()
    assert [name for name in PUBLIC if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_the_columns_of_a_public_relation_are_described_as_they_are(
    warehouse: Warehouse, name: str
) -> None:
    described = [(one.name, one.type) for one in catalog()[name].columns]
    rows = warehouse.query(f"SELECT column_name, column_type FROM (DESCRIBE {name})").rows
    assert described == list(rows)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_column_has_one_sentence_and_a_unit_where_its_name_has_one(name: str) -> None:
    for column in catalog()[name].columns:
        assert re.fullmatch(r"[A-Z`](?:[^.\n]|\.(?! ))*\.", column.meaning), column
        ends = [unit for end, unit in UNITS.items() if column.name.endswith(end)]
        if ends and column.type.removesuffix("[]") in NUMBERS:
            assert column.unit in (ends[0], "1 / 1000 tokens", "1 / 1000 characters"), column


OF_ONE_ANSWER = {"scores", "verdicts", "all_verdicts"}
"""What a grader says of one answer or trajectory is its score; a mean of scores is an accuracy."""

MEAN_AS_SCORE = re.compile(
    r"\b(?:avg|sum|mean)\((?:[^()]|\([^()]*\))*\)(?:\s*FILTER\s*\([^()]*\))?[^,()]*\bAS\s+\w*score\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_score_is_of_one_answer_and_an_accuracy_is_a_mean_of_scores(name: str) -> None:
    for column in catalog()[name].columns:
        words = column.name.split("_")
        assert "score" not in words or name in OF_ONE_ANSWER, column
        if words[-1] == "accuracy":
            assert name not in OF_ONE_ANSWER, column
            assert re.match(r"Mean |Share |The accuracy|`right_seen` of", column.meaning), column


def test_no_query_calls_a_mean_of_scores_a_score() -> None:
    texts = {path: path.read_text() for path in (ROOT / "sql").rglob("*.sql")}
    assert [str(path) for path, text in texts.items() if MEAN_AS_SCORE.search(text)] == []
    assert MEAN_AS_SCORE.search("SELECT avg(given.score) AS mean_score FROM scores AS given")
    assert MEAN_AS_SCORE.search("avg(score) FILTER (score IS NOT NULL) AS score,")


def test_a_relation_reads_as_it_should() -> None:
    shown = to_text(relation_sheet(catalog()["mart_oracle_gap"]), 80) + "\n"
    assert shown == golden("report/relation.txt", shown)


def test_the_list_has_every_relation_and_fits_eighty_columns() -> None:
    lines = to_text(catalog_sheet(catalog().values()), 80).splitlines()
    assert max(map(len, lines)) <= 80
    named = [line.split()[0] for line in lines if re.match(r"\w+ {2,}\w", line)]
    assert named == list(catalog())


def test_the_command_lists_relations_and_columns_without_a_store(
    tmp_path: Path, command: Pacore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = command("tables", "--format", "json")
    assert [one["name"] for one in json.loads(listed.stdout)] == list(catalog())
    assert "mart_ttc" in command("tables").stdout
    one = json.loads(command("tables", "MART_TTC", "--format", "json").stdout)
    assert one["columns"][3]["name"] == "effective_tokens"
    assert (one["columns"][3]["type"], one["columns"][3]["unit"]) == ("BIGINT", "tokens")
    assert "DESCRIBE pools" in command("tables", "pools").stdout
    done = command("tables", "trajectorys")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "pacore: there is no table 'trajectorys'; close to it: trajectories,"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_has_nothing_near_leads_to_the_list() -> None:
    with pytest.raises(BadInput, match="^there is no table 'qqqq'; pacore tables lists all$"):
        find_relation("qqqq")


NEAR = {
    "SELECT * FROM trajectorys": (
        'there is no table "trajectorys"; close to it: trajectories, trajectory_texts, '
        "all_trajectories; pacore tables lists all"
    ),
    "SELECT * FROM accuracy": (
        'there is no table "accuracy"; close to it: mart_accuracy, mart_message_accuracy, '
        "mart_outcome_by_message_accuracy; pacore tables lists all"
    ),
    "WITH recent AS (SELECT 1) SELECT * FROM recnt": (
        'there is no table "recnt"; close to it: recent; pacore tables lists all'
    ),
    "SELECT conclus FROM trajectories": (
        'there is no column "conclus" in trajectories; close to it: conclusion, conclusion_status; '
        "pacore tables trajectories lists all"
    ),
    "SELECT t.conclus FROM trajectories t JOIN messages AS m USING (run_id)": (
        'there is no column "conclus" in trajectories; close to it: conclusion, conclusion_status; '
        "pacore tables trajectories lists all"
    ),
    "SELECT tokens FROM mart_ttc WHERE replicate = 0": (
        'there is no column "tokens" in mart_ttc; close to it: path_tokens, effective_tokens, '
        "marginal_tokens, wasted_tokens, prompt_tokens; pacore tables mart_ttc lists all"
    ),
    "SELECT 1 FROM runs JOIN answers USING (runid)": (
        'there is no column "runid" in runs or answers; close to it: run_id, rounds; '
        "pacore tables NAME lists all"
    ),
    "SELECT * EXCLUDE (statment) FROM problems": (
        'there is no column "statment" in problems; close to it: statement; '
        "pacore tables problems lists all"
    ),
    "SELECT qqqqqqq FROM runs": (
        'there is no column "qqqqqqq" in runs; pacore tables runs lists all'
    ),
    "SELECT scor FROM (SELECT score AS points FROM scores)": (
        'there is no column "scor" in scores; close to it: score; pacore tables scores lists all'
    ),
    "SELECT score FROM (SELECT score AS scored FROM scores)": (
        'Binder Error: Referenced column "score" not found in FROM clause! Candidate bindings: "scored"'
    ),
    "SELECT lenght(text) FROM messages": (
        'Catalog Error: Scalar Function with name lenght does not exist! Did you mean "length"?'
    ),
    "SELECT x.text FROM messages": (
        'Binder Error: Referenced table "x" not found! Candidate tables: "messages"'
    ),
    "SELCT 1": 'Parser Error: syntax error at or near "SELCT"',
    "SELECT error(e'two\\nlines')": "Invalid Input Error: two",
    "SELECT * FROM \"traj\x1b[31m\"": (
        'there is no table "traj\\x1b[31m"; pacore tables lists all'
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", NEAR)
def test_a_query_that_names_what_is_not_there_says_what_is_near(
    warehouse: Warehouse, text: str
) -> None:
    with pytest.raises(BadInput) as refused:
        list(warehouse.query(text).rows)
    assert str(refused.value) == NEAR[text]


def test_a_message_of_one_line_stays_as_it_is() -> None:
    assert explained("Some Error: a reason", "SELECT 1") == "Some Error: a reason"
    assert explained("Some Error: a reason\n\nLINE 1: …", "SELECT 1") == "Some Error: a reason"

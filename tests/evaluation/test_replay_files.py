"""Files of pools as people publish them: what is read of them, and what is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pacore.errors import BadInput
from pacore.evaluation.replay.files import file_pools
from tests.conftest import Pacore

NAMES = ("model", "problem_set", "problem", "branch", "gold", "answer", "tokens")

ROW = ("m", "aime", 0, 0, "204", "204", 100)
NEXT = ("m", "aime", 0, 1, "204", "7", 200)


def written(folder: Path, rows: Sequence[Sequence[object]], names: Sequence[str] = NAMES) -> str:
    path = folder / "pools.parquet"
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table({**columns, "probes": [["1", None]] * len(rows)}), path)
    return str(path)


def lines(folder: Path, *rows: object) -> str:
    path = folder / "pools.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_answers_are_read_by_equivalence_class_and_problems_in_their_order(tmp_path: Path) -> None:
    rows = [
        ("m", "aime", 9, 1, "1/2", r"\frac12", 30),
        ("m", "aime", 10, 0, "204", None, 40),
        ("m", "aime", 9, 0, "1/2", "0.5", 20),
        ("m", "aime", 9, 2, "1/2", "2", 10),
        ("m", "aime", 10, 1, "204", " ", 50),
    ]
    found = file_pools(written(tmp_path, rows))
    nine, ten = found.pooled
    assert (nine.problem, ten.problem) == ("aime/9", "aime/10")
    assert nine.pool.tokens == [20, 30, 10]
    assert nine.pool.keys[0] == nine.pool.keys[1] != nine.pool.keys[2]
    assert nine.pool.scores == [1.0, 1.0, 0.0]
    assert (ten.pool.keys, ten.pool.has_message) == ([None, None], [False, False])
    assert found.width == 2 and not found.columns


def test_columns_with_other_names_are_known_or_named(tmp_path: Path) -> None:
    names = (
        "Model_Name",
        "dataset",
        "question_id",
        "rollout",
        "ground_truth",
        "prediction",
        "length",
    )
    found = file_pools(written(tmp_path, [ROW, NEXT], names))
    assert found.pooled == file_pools(written(tmp_path, [ROW, NEXT])).pooled
    assert found.columns["gold"] == "ground_truth"
    odd = written(tmp_path, [ROW, NEXT], (*NAMES[:4], "truth", "said", "LEN"))
    with pytest.raises(BadInput, match=r"no column has the answer .* there are .*said, LEN"):
        file_pools(odd)
    named = {"gold": "truth", "answer": "said", "tokens": "LEN"}
    assert file_pools(odd, named).pooled == found.pooled
    with pytest.raises(BadInput, match="tokens: has no column 'LAN'"):
        file_pools(odd, {**named, "tokens": "LAN"})
    with pytest.raises(BadInput, match="'golds', did you mean 'gold'|'golds'.* is none of model"):
        file_pools(odd, {"golds": "truth"})


def test_an_answer_beside_a_prediction_is_the_right_one(tmp_path: Path) -> None:
    rows = [(*ROW[2:5], "204", 9), (*NEXT[2:5], "7", 8)]
    names = ("problem", "sample", "answer", "prediction", "tokens")
    (one,) = file_pools(written(tmp_path, rows, names)).pooled
    assert one.pool.scores == [1.0, 0.0]


def test_a_file_may_say_what_is_correct_in_place_of_the_gold_answer(tmp_path: Path) -> None:
    rows = [(1, "x", 9, True), (1, "y", 8, False), (1, "x", 7, True), (1, "z", 6, None)]
    found = file_pools(written(tmp_path, rows, ("problem", "answer", "tokens", "is_correct")))
    (one,) = found.pooled
    assert one.pool.scores == [1.0, 0.0, 1.0]
    assert one.pool.keys[0] == one.pool.keys[2] != one.pool.keys[1]
    assert found.left_out == 1


def test_a_row_may_have_all_trajectories_of_a_problem_as_lists(tmp_path: Path) -> None:
    row = {"problem": "p", "gold": "1", "answers": ["1", None, "2"], "lengths": [5, 6, 7]}
    (one,) = file_pools(lines(tmp_path, row)).pooled
    assert (one.pool.tokens, one.pool.scores) == ([5, 6, 7], [1.0, 0.0, 0.0])
    with pytest.raises(BadInput, match=r"row 1: answers: has 2 values, and lengths has 3"):
        file_pools(lines(tmp_path, {**row, "answers": ["1", "2"]}))
    with pytest.raises(BadInput, match=r"row 1: answers: is no list, and lengths is one"):
        file_pools(lines(tmp_path, {**row, "answers": "1"}))


def test_trajectories_without_a_length_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [(*ROW[:6], 100.0), (*NEXT[:6], None), (*ROW[:3], 2, None, "7", 5.0)]
    found = file_pools(written(tmp_path, rows))
    (one,) = found.pooled
    assert (one.pool.tokens, one.pool.scores, found.left_out) == ([100, 5], [1.0, 0.0], 1)


def test_prompts_and_times_of_a_file_are_for_money_and_seconds(tmp_path: Path) -> None:
    row = {"gold": "1", "answer": "1", "tokens": 100}
    rows = [
        {**row, "problem": "p", "input_tokens": 20, "latency_seconds": 2.0},
        {**row, "problem": "p", "input_tokens": 40, "latency_seconds": "1"},
        {**row, "problem": "q", "input_tokens": 30, "latency_seconds": None},
        {**row, "problem": "q", "input_tokens": None, "latency_seconds": None},
    ]
    found = file_pools(lines(tmp_path, *rows))
    first, second = found.pooled
    assert first.prompt is not None and first.prompt.tokens == 30
    assert second.prompt is None, "nobody counted one of them"
    assert found.seconds_a_token == {"": pytest.approx(3 / 200)}
    assert file_pools(lines(tmp_path, *({**row, "problem": n} for n in (1, 1)))).pooled
    with pytest.raises(BadInput, match="row 1: latency_seconds: 'soon' is no number of seconds"):
        file_pools(lines(tmp_path, {**rows[0], "latency_seconds": "soon"}))
    with pytest.raises(BadInput, match="row 1: input_tokens: -3 is no number of tokens"):
        file_pools(lines(tmp_path, {**rows[0], "input_tokens": -3}))


def test_sets_are_as_wide_as_most_pools_and_few_small_ones_are_left_out(tmp_path: Path) -> None:
    rows = [
        ("m", "s", problem, branch, "1", "1", 10)
        for problem, size in enumerate((70, 70, 65, 2, 70))
        for branch in range(size)
    ]
    assert file_pools(written(tmp_path, rows)).width == 64


def test_a_file_without_gold_answers_has_pools_without_scores(tmp_path: Path) -> None:
    rows = [
        {"problem": 1, "answer": answer, "tokens": tokens}
        for answer, tokens in (("1/2", 5), ("0.5", 6), ("", 7), ("3", None))
    ]
    found = file_pools(lines(tmp_path, *rows))
    (one,) = found.pooled
    assert one.pool.scores is None
    assert one.pool.keys[0] == one.pool.keys[1] is not None, "equivalent to the most frequent one"
    assert (one.pool.keys[2], one.pool.has_message[2]) == (None, False)
    assert found.left_out == 1
    assert found.unobserved is not None and "--fields gold=COLUMN names it" in found.unobserved


def test_gold_answers_change_neither_tokens_nor_path(tmp_path: Path, command: Pacore) -> None:
    rows = [
        {"problem": number, "gold": str(number), "answer": str(number + (place % 3 == 0)),
         "tokens": 10 + 7 * place % 31}
        for number in range(4) for place in range(12)
    ]  # fmt: skip
    hidden = [{name: row[name] for name in ("problem", "answer", "tokens")} for row in rows]
    told = []
    for some in (rows, hidden):
        done = command("replay", lines(tmp_path, *some), "--width", "8", "--format", "json")
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    graded, ungraded = (one["policies"] for one in told)
    for one, other in zip(graded, ungraded, strict=True):
        for name in ("policy", "tokens", "path_tokens", "saved", "agreement", "begun", "ended"):
            assert one[name] == other[name], name
        assert other["accuracy"] is other["coverage"] is other["verdict"] is None
    assert told[0]["unobserved"] is None


def test_two_models_in_a_file_that_does_not_name_them_are_told_apart_by_a_column(
    tmp_path: Path,
) -> None:
    rows = [
        {"problem": 1, "branch": branch, "answer": "2", "tokens": 5, "who": who}
        for who in "ab"
        for branch in range(2)
    ]
    url = lines(tmp_path, *rows)
    with pytest.raises(BadInput, match="row 3: branch: .*'0' already; .* --fields model=COLUMN"):
        file_pools(url)
    assert {one.model for one in file_pools(url, {"model": "who"}).pooled} == {"a", "b"}


def test_lines_of_json_and_csv_are_read_as_parquet_is(tmp_path: Path) -> None:
    rows = [dict(zip(NAMES, row, strict=True)) for row in (ROW, NEXT)]
    expected = file_pools(written(tmp_path, [ROW, NEXT])).pooled
    assert file_pools(lines(tmp_path, *rows)).pooled == expected
    table = tmp_path / "pools.csv"
    table.write_text("\n".join(",".join(map(str, row)) for row in (NAMES, ROW, NEXT)))
    assert file_pools(str(table)).pooled == expected


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([(*ROW[:6], -1)], "row 1: tokens: -1 is no number of tokens"),
        ([(*ROW[:6], 1.5)], "row 1: tokens: 1.5 is no number of tokens"),
        ([(*ROW[:6], "many")], "row 1: tokens: 'many' is no number of tokens"),
        ([(*ROW[:5], ["7"], 5)], "row 1: tokens: is no list, and answer is one"),
        ([(*ROW[:5], {"a": 1}, 5)], "row 1: answer: {'a': 1} is no text"),
        ([(*ROW[:2], None, *ROW[3:])], "row 1: problem: is null"),
        ([(*ROW[:4], None, *ROW[5:])] * 1, "gold: is null in every row"),
        ([(*ROW[:6], None), (*NEXT[:6], None)], "tokens: is null in every row"),
        ([(*ROW[:6], 0), (*NEXT[:6], 0)], "tokens: is 0 in every row"),
        ([ROW, ROW], "row 2: branch: the problem has '0' already"),
        ([ROW, (*ROW[:3], 1, "7", *ROW[5:])], "row 2: gold: '7' beside '204' of the same problem"),
        ([ROW], "no problem has more than one trajectory, and so nothing to stop early"),
    ],
)
def test_what_is_no_pool_is_refused_by_file_row_and_column(
    tmp_path: Path, rows: list[tuple[object, ...]], what: str
) -> None:
    url = written(tmp_path, rows)
    with pytest.raises(BadInput) as refused:
        file_pools(url)
    assert str(refused.value) == f"{url}: {what}"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("pools.parquet", "model,answer\n", "is not a Parquet file"),
        ("pools.parquet", "", "is empty"),
        ("pools.jsonl", "", "has no rows"),
        ("pools.jsonl", "1\n2\n", "row 1: is no object"),
        ("pools.jsonl", '{"problem": 1}\n{"problem": \n', "row 2: "),
        ("pools.csv", "problem,answer\n1,2\n", "no column has the tokens"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line_without_a_store(
    tmp_path: Path, command: Pacore, name: str, content: str, what: str
) -> None:
    (tmp_path / name).write_text(content)
    absent = str(tmp_path / "no_store")
    done = command("replay", str(tmp_path / name), "--store", absent)
    assert done.returncode == 2
    assert f"{name}: {what}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_needs_no_store_and_its_columns_are_in_the_report(
    tmp_path: Path, command: Pacore
) -> None:
    rows: list[Any] = [
        {"q": problem, "gold": "1", "answer": str(branch % 2), "LEN": 10 + branch}
        for problem in range(3)
        for branch in range(8)
    ]
    url = lines(tmp_path, *rows)
    place = ("--store", str(tmp_path / "none"), "--orders", "5")
    done = command("replay", url, "--fields", "problem=q,tokens=LEN", *place)
    assert done.returncode == 0, done.stderr
    assert "q as problem, LEN as tokens" in done.stdout
    refused = command("replay", url, "--fields", "problem", *place)
    assert refused.returncode == 2 and "--fields: 'problem' is not PART=COLUMN" in refused.stderr


def test_prices_of_a_file_are_those_of_its_models(tmp_path: Path, command: Pacore) -> None:
    rows = [
        {"problem": problem, "gold": "1", "answer": str(branch % 3), "tokens": 10 + branch}
        for problem in range(3)
        for branch in range(8)
    ]
    url = lines(tmp_path, *rows)
    line = ("--store", str(tmp_path / "none"), "--orders", "5", "--prices")

    def table(*models: str) -> str:
        path = tmp_path / "prices.csv"
        prices = [f"{model},1,10" for model in models]
        path.write_text("\n".join(["model,prompt_per_million,completion_per_million", *prices]))
        return str(path)

    alone = command("replay", url, *line, table("m"))
    assert alone.returncode == 0, alone.stderr
    assert "a set in USD, without prompts" in alone.stdout
    assert "prompts: none, as nobody counted them" in " ".join(alone.stdout.split())
    several = command("replay", url, *line, table("m", "n"))
    assert several.returncode == 2 and several.stderr.count("\n") == 1
    assert (
        "has the prices of m, n, and of which model the trajectories are is not" in several.stderr
    )
    assert "a column that --fields model=COLUMN names" in several.stderr
    named = lines(tmp_path, *({**row, "model": "mm"} for row in rows))
    other = command("replay", named, *line, table("m", "n"))
    assert other.returncode == 2
    assert "has no prices of model 'mm' (did you mean m?)" in other.stderr

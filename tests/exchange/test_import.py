"""Trajectories made elsewhere become a run that is graded, voted on, audited and asked like any."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pacore.cli.exchange import ImportOptions, import_from
from pacore.core.recipe import Recipe
from pacore.core.round import Round
from pacore.engine.opening import resolve_recipe
from pacore.errors import BadInput, Refused
from pacore.problems.files import read_problem_set
from pacore.runs.derived import derived_config
from pacore.runs.planning.forecast import Forecaster
from pacore.runs.settings import config_of
from pacore.store.backends.opening import open_store
from pacore.store.journal import Journal
from pacore.store.run import list_runs, open_run
from pacore.warehouse.views import Warehouse
from tests.conftest import Pacore
from tests.fixtures.pipeline import journal_size, scripted_config, tables
from tests.fixtures.stores import fresh_url

Rows = list[dict[str, Any]]


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a problem set of five sums, ``problems.jsonl``."""
    rows = [
        {"id": f"sum-{n}", "problem": f"What is {n} + {n}?", "answer": str(2 * n)}
        for n in range(1, 6)
    ]
    write_lines(tmp_path / "problems.jsonl", rows)
    return tmp_path


def options(place: Path, **fields: Any) -> ImportOptions:
    given = {"problems": str(place / "problems.jsonl"), "model": "elsewhere-8b", **fields}
    return ImportOptions(str(place / "store"), **given)


def asked(place: Path, sql: str) -> list[tuple[Any, ...]]:
    with Warehouse(open_store(str(place / "store"))) as warehouse:
        return list(warehouse.query(sql).rows)


def response(content: str | None, reasoning: str | None = "") -> dict[str, Any]:
    return {"content": content, "reasoning_content": reasoning}


def reference_rows() -> Rows:
    """Results of K = [4, 1] as the reference implementation writes them.

    ``sum-2`` has an empty response, ``sum-5`` nothing but an error.
    """
    rows: Rows = []
    for n in range(1, 5):
        first = [
            response(f"<think>{'hm ' * k}</think>\n\nThe sum is \\boxed{{{2 * n + (k == 3)}}}.")
            for k in (2, 1, 4, 3)
        ]
        if n == 2:
            first[0] = response("")
        last = response(f"So it is \\boxed{{{2 * n}}}.", "They agree.")
        rows.append(
            {
                "request_id": f"sum-{n}",
                "final_response": last["content"],
                "final_reasoning_content": last["reasoning_content"],
                "round_responses": [first, [last]],
            }
        )
    return [*rows, {"request_id": "sum-5", "error": "object of type 'NoneType' has no len()"}]


def train_rows() -> Rows:
    return [
        {
            "conversation": [{"role": "user", "content": f"What is {n} + {n}?"}],
            "responses": [
                f"\\boxed{{{2 * n}}}",
                f"It is \\boxed{{{2 * n + n % 2}}}.",
                "Who knows?",
            ],
            "ground_truth": {"answer": str(2 * n)},
        }
        for n in range(1, 6)
    ]


def batch_request(custom_id: str, n: int, choices: int = 1, system: str = "Be brief.") -> Any:
    turns = [
        {"role": "system", "content": system},
        {"role": "user", "content": f"What is {n} + {n}?"},
    ]
    body = {"model": "m", "messages": turns, "n": choices}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def batch_line(custom_id: str, *contents: str, finish_reason: str = "stop") -> Any:
    choices = [
        {"index": index, "finish_reason": finish_reason, "message": {"content": content}}
        for index, content in enumerate(contents)
    ]
    body = {
        "model": "m-2026",
        "system_fingerprint": "fp",
        "choices": choices,
        "usage": {"prompt_tokens": 9, "completion_tokens": 21},
    }
    response = {"status_code": 200, "request_id": "x", "body": body}
    return {"id": "b", "custom_id": custom_id, "response": response, "error": None}


# What each format becomes.


@pytest.mark.slow
def test_reference_results_become_a_run_with_their_rounds_messages_answers_and_scores(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    assert import_from(str(file), options(place, run_id="theirs")) == 3
    assert "sum-5: failed: round 1: 0 of 4 messages (4 engine_error): object of type" in (
        capsys.readouterr().err
    )
    run = open_run(open_store(str(place / "store")), "theirs")
    assert (run.plan.widths, run.plan.replicates) == ((4,), 1)
    scored = "SELECT problem_id, answer, score FROM scores ORDER BY problem_id"
    right = [(f"sum-{n}", str(2 * n), 1.0) for n in range(1, 5)]
    assert asked(place, scored) == right
    sets = "SELECT problem_id, count(*) FROM messages WHERE round = 1 GROUP BY ALL ORDER BY ALL"
    assert asked(place, sets) == [("sum-1", 4), ("sum-2", 3), ("sum-3", 4), ("sum-4", 4)]


def test_messages_of_reference_results_keep_the_order_their_prompts_had(place: Path) -> None:
    """The file lists responses as they were shuffled for the prompt."""
    ordered = reference_rows()[:1]
    texts = [f"{'x' * length} so \\boxed{{2}}" for length in (30, 20, 40, 10)]
    ordered[0]["round_responses"][0] = [response(text) for text in texts]
    file = write_lines(place / "results.jsonl", ordered)
    assert import_from(str(file), options(place)) == 0
    rows = asked(place, "SELECT text FROM messages WHERE round = 1 ORDER BY position")
    assert [text for (text,) in rows] == texts


@pytest.mark.slow
def test_results_of_problems_without_ids_are_matched_by_the_rows_of_the_file(place: Path) -> None:
    rows = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n)} for n in (7, 3)]
    write_lines(place / "problems.jsonl", rows)
    results = [
        {"request_id": f"req_{row}", "round_responses": [[response(f"\\boxed{{{2 * n}}}")]]}
        for row, n in ((1, 3), (0, 7))
    ]
    file = write_lines(place / "results.jsonl", results)
    assert import_from(str(file), options(place)) == 0
    assert asked(place, "SELECT sum(score) FROM scores") == [(2.0,)]


@pytest.mark.slow
def test_a_pool_becomes_one_replicate_a_response_so_that_pass_at_1_and_votes_follow(
    place: Path,
) -> None:
    file = place / "train.json"
    file.write_text(json.dumps(train_rows()))
    given = options(place, problems=None, run_id="pool")
    assert import_from(str(file), given) == 0
    run = open_run(open_store(str(place / "store")), "pool")
    assert (run.plan.widths, run.plan.replicates, run.problems) == ((), 3, 5)
    rows = asked(place, "SELECT replicate, sum(score) FROM scores GROUP BY ALL ORDER BY ALL")
    assert rows == [(0, 5.0), (1, 2.0), (2, 0.0)]
    # Problems that state no id of their own get one from their content.
    assert all(problem_id.startswith("p-") for (problem_id,) in asked(
        place, "SELECT problem_id FROM problems"))  # fmt: skip


@pytest.mark.slow
def test_a_training_file_is_matched_to_a_problem_set_by_what_it_asks(place: Path) -> None:
    file = write_lines(place / "train.jsonl", train_rows())
    assert import_from(str(file), options(place)) == 0
    ids = asked(place, "SELECT DISTINCT problem_id FROM answers ORDER BY ALL")
    assert ids == [(f"sum-{n}",) for n in range(1, 6)]


@pytest.mark.slow
def test_a_batch_keeps_tokens_finish_reasons_models_and_failures(place: Path) -> None:
    requests = [batch_request(f"r{n}", n) for n in range(1, 6)]
    lines = [
        batch_line("r1", "\\boxed{2}"),
        batch_line("r2", "Let me see", finish_reason="length"),
        {"id": "b", "custom_id": "r3", "response": None,
         "error": {"code": "batch_expired", "message": "took too long"}},
        {"id": "b", "custom_id": "r4", "error": None, "response": {
            "status_code": 400, "body": {"error": {"code": "context_length_exceeded",
                                                   "message": "too long"}}}},
    ]  # fmt: skip
    output = write_lines(place / "out.jsonl", lines)
    prompts = write_lines(place / "in.jsonl", requests)
    assert import_from(str(output), options(place, prompts=str(prompts))) == 3
    columns = "problem_id, finish_reason, completion_tokens, usage_source, served_model"
    rows = asked(place, f"SELECT {columns} FROM trajectories ORDER BY problem_id")
    assert rows == [
        ("sum-1", "stop", 21, "server", "m-2026"),
        ("sum-2", "length", 21, "server", "m-2026"),
        ("sum-3", "engine_error", None, "unknown", None),
        ("sum-4", "context_overflow", None, "unknown", None),
        ("sum-5", "engine_error", None, "unknown", None),
    ]
    errors = dict(asked(place, "SELECT problem_id, error FROM trajectories"))
    assert errors["sum-3"] == "r3: batch_expired: took too long"
    assert errors["sum-5"] == "the batch's output has no line for this request"


@pytest.mark.slow
def test_the_system_prompt_of_a_batch_is_part_of_its_recipe_and_prompts(place: Path) -> None:
    output = write_lines(place / "out.jsonl", [batch_line("r1", "\\boxed{2}")])
    prompts = write_lines(place / "in.jsonl", [batch_request("r1", 1)])
    assert import_from(str(output), options(place, prompts=str(prompts), run_id="b")) == 0
    run = open_run(open_store(str(place / "store")), "b")
    assert run.recipe.system == "Be brief."
    problem = read_problem_set(str(place / "problems.jsonl"))[0]
    (sent,) = Round(run.plan, run.recipe, problem, (1, 0)).prompts()
    assert asked(place, "SELECT prompt_digest FROM trajectories") == [(sent.digest,)]


@pytest.mark.slow
def test_several_choices_of_a_request_are_several_replicates_and_share_no_usage(
    place: Path,
) -> None:
    output = write_lines(place / "out.jsonl", [batch_line("sum-1-0", "\\boxed{2}", "\\boxed{3}")])
    assert import_from(str(output), options(place)) == 0
    rows = asked(place, "SELECT replicate, answer FROM answers ORDER BY ALL")
    assert rows == [(0, "2"), (1, "3")]
    assert asked(place, "SELECT DISTINCT completion_tokens FROM trajectories") == [(None,)]


def test_without_its_input_a_batch_names_problems_by_custom_id_with_or_without_a_number(
    place: Path,
) -> None:
    names = ("sum-1", "sum-1#2", "sum-3:1", "sum-3/2")
    output = write_lines(place / "out.jsonl", [batch_line(name, "\\boxed{2}") for name in names])
    assert import_from(str(output), options(place)) == 0
    rows = asked(place, "SELECT problem_id, count(*) FROM answers GROUP BY ALL ORDER BY ALL")
    assert rows == [("sum-1", 2), ("sum-3", 2)]


@pytest.mark.slow
def test_where_problems_have_more_or_fewer_responses_nothing_is_made_up_and_it_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = train_rows()
    del rows[2]["responses"][1:]
    file = write_lines(place / "train.jsonl", rows)
    assert import_from(str(file), options(place, run_id="least")) == 0
    said = capsys.readouterr().err
    assert "left out: 8 passes beyond the first 1 of a problem; the file has 1 to 3 of each" in said
    assert import_from(str(file), options(place, run_id="three", replicates=3)) == 0
    said = capsys.readouterr().err
    assert "left out: 1 problem (sum-3) with fewer than 3 passes in the file" in said
    counts = "SELECT run_id, count(*) FROM answers GROUP BY ALL ORDER BY ALL"
    assert asked(place, counts) == [("least", 5), ("three", 12)]


def test_problems_without_a_row_are_left_out_and_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_lines(place / "results.jsonl", reference_rows()[:2])
    assert import_from(str(file), options(place)) == 0
    said = capsys.readouterr().err
    assert "not in the file: 3 problems (sum-3, sum-4, sum-5) of the problem set" in said


# Identity.


def test_an_imported_trajectory_is_never_found_by_a_run_that_generates(place: Path) -> None:
    file = write_lines(place / "train.jsonl", train_rows())
    assert import_from(str(file), options(place)) == 0
    problems = read_problem_set(str(place / "problems.jsonl"))
    config = scripted_config(place / "store", place / "problems.jsonl", widths=(3,))
    journal = Journal(open_store(config.store))
    for recipe in (resolve_recipe(config), Recipe("elsewhere-8b")):
        found = Forecaster(config.plan, recipe, journal).forecast(problems, 1)
        assert found.total("stored") == 0


def test_imported_rows_say_so_and_count_as_generated_by_nobody(place: Path) -> None:
    file = write_lines(place / "results.jsonl", reference_rows()[:1])
    assert import_from(str(file), options(place)) == 0
    engines = "SELECT DISTINCT engine, engine_version, reused, tries FROM trajectories"
    assert asked(place, engines) == [("imported", "reference", True, 0)]
    assert asked(place, "SELECT sum(marginal_tokens)::INT FROM mart_ttc") == [(0,)]


@pytest.mark.slow
def test_a_second_import_adds_nothing_and_a_changed_file_is_another_run(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = place / "store"
    file = write_lines(place / "results.jsonl", reference_rows())
    import_from(str(file), options(place))
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*.*")}
    assert import_from(str(file), options(place)) == 3
    assert "is imported already; nothing to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*.*")} == before
    write_lines(file, reference_rows()[:3])
    assert import_from(str(file), options(place)) == 0
    assert len(list_runs(open_store(str(store)))) == 2


@pytest.mark.slow
def test_a_run_of_the_same_name_that_is_something_else_is_refused(place: Path) -> None:
    file = write_lines(place / "results.jsonl", reference_rows()[:3])
    import_from(str(file), options(place, run_id="mine"))
    write_lines(file, reference_rows()[:4])
    with pytest.raises(Refused, match=r"recipe\.imported\.sha256: "):
        import_from(str(file), options(place, run_id="mine"))


@pytest.mark.slow
def test_two_imports_of_one_file_share_its_trajectories_failures_included(place: Path) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    import_from(str(file), options(place, run_id="one"))
    once = journal_size(str(place / "store"))
    assert import_from(str(file), options(place, run_id="two")) == 3
    # Each run spends its own attempts on what failed: five of them here.
    assert journal_size(str(place / "store")) == once + 5
    same = "SELECT count(*), count(DISTINCT trajectory_id) FROM trajectories WHERE {}"
    assert asked(place, same.format("finish_reason = 'stop'")) == [(38, 19)]
    scores = "SELECT run_id, sum(score) FROM scores GROUP BY ALL ORDER BY ALL"
    assert asked(place, scores) == [("one", 4.0), ("two", 4.0)]


@pytest.mark.slow
def test_an_import_that_was_stopped_goes_on_and_ends_the_same(place: Path) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    import_from(str(file), options(place, run_id="whole"))
    whole = asked(place, "SELECT * EXCLUDE (run_id) FROM scores ORDER BY ALL")
    store = place / "store"
    (store / "runs" / "whole" / "final.json").unlink()
    for folder in ("answers", "verdicts"):
        for path in (store / "commits" / "run_id=whole" / folder).rglob("*.json"):
            path.unlink()
    for path in list((store / "journal").rglob("*.zst"))[::2]:
        path.unlink()
    assert import_from(str(file), options(place, run_id="whole")) == 3
    assert asked(place, "SELECT * EXCLUDE (run_id) FROM scores ORDER BY ALL") == whole


# What is wrong is named, and then nothing is written.

BAD: dict[str, tuple[list[Any], list[str]]] = {
    "reference": (
        [
            {"request_id": "sum-1", "round_responses": [[response("a")], [response("b")]]},
            {"request_id": "sum-9", "round_responses": [[response("a")], [response("b")]]},
            {"request_id": "", "round_responses": "none"},
            {"request_id": "sum-2", "round_responses": [[response("a")] * 2, [response("b")]]},
            {"request_id": "sum-3", "round_responses": [[{"content": 5}], [response("b")] * 2]},
        ],
        [
            ":2: request_id: the problem set has no problem 'sum-9'",
            ":3: request_id: is empty",
            ":3: round_responses: is text; must be a list of rounds",
            ":4: round_responses: has [2, 1] responses where line 1 has [1, 1]",
            ":5: round_responses[0][0].content: is a number; must be text or null",
            ":5: round_responses[1]: the last round has one response",
        ],
    ),
    "pacore-train": (
        [
            {"conversation": [], "responses": ["a"]},
            {"conversation": [{"role": "user", "content": "x"}], "responses": [7]},
            {"conversation": [{"role": "user", "content": "What?"}], "responses": ["a"]},
        ],
        [
            ":1: conversation: is empty",
            ":2: responses[0]: is a number; must be text or an object with content",
            ":3: conversation: the problem set has no problem this conversation",
        ],
    ),
    "openai-batch": (
        [
            batch_line("sum-1", "a"),
            batch_line("sum-1", "b"),
            {"custom_id": "sum-2", "response": None, "error": None},
            {"custom_id": "sum-3", "response": {"status_code": "200"}},
            {"response": {}},
        ],
        [
            ":2: custom_id: 'sum-1' is in line 1 too",
            ":3: response: missing, and there is no error instead",
            ":4: response: must have status_code and body",
            ":5: custom_id: missing",
        ],
    ),
}


@pytest.mark.parametrize("form", BAD)
def test_every_bad_row_is_named_by_file_line_and_field_and_nothing_is_published(
    place: Path, form: str
) -> None:
    rows, expected = BAD[form]
    file = write_lines(place / "bad.jsonl", rows)
    with file.open("a") as more:
        more.write("{not json\n")
    with pytest.raises(BadInput) as wrong:
        import_from(str(file), options(place, form=form))
    for line in [*expected, f":{len(rows) + 1}: invalid JSON"]:
        assert f"{file}{line}" in str(wrong.value)
    assert not (place / "store").exists()


def test_the_command_ends_with_2_for_a_file_with_bad_rows(place: Path, command: Pacore) -> None:
    file = write_lines(place / "results.jsonl", BAD["reference"][0])
    done = command(
        "import", str(file), "--problems", str(place / "problems.jsonl"), "--model", "m",
        "--store", str(place / "store"),
    )  # fmt: skip
    assert done.returncode == 2
    assert f"{file}:2: request_id: the problem set has no problem 'sum-9'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_an_import_goes_to_object_storage_as_to_a_folder(
    request: pytest.FixtureRequest, place: Path, kind: str
) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    url = fresh_url(request, kind, place)
    problems = str(place / "problems.jsonl")
    given = ImportOptions(url, problems=problems, model="elsewhere-8b", run_id="theirs")
    assert import_from(str(file), given) == 3
    import_from(str(file), options(place, run_id="theirs"))
    assert tables(url, "theirs") == tables(str(place / "store"), "theirs")


def test_problems_that_ask_the_same_word_for_word_are_refused_as_their_responses_would_mix(
    place: Path,
) -> None:
    same = [{"id": name, "problem": "What?", "answer": "1"} for name in ("a", "b")]
    write_lines(place / "problems.jsonl", same)
    rows = [{"request_id": n, "round_responses": [[response("x")]]} for n in ("a", "b")]
    file = write_lines(place / "results.jsonl", rows)
    with pytest.raises(BadInput, match="problems 'a' and 'b' have the same turns"):
        import_from(str(file), options(place))


def test_requests_that_ask_no_problem_or_share_an_id_or_differ_in_their_system_are_named(
    place: Path,
) -> None:
    requests = [
        batch_request("r1", 1),
        batch_request("r1", 2),
        batch_request("r3", 77),
        batch_request("r4", 4, system="Be long."),
        {"custom_id": "r5", "body": {"messages": "What?"}},
    ]
    prompts = write_lines(place / "in.jsonl", requests)
    output = write_lines(place / "out.jsonl", [batch_line("r1", "a")])
    with pytest.raises(BadInput) as wrong:
        import_from(str(output), options(place, prompts=str(prompts)))
    for line in (
        ":2: custom_id: 'r1' is in line 1 too",
        ":3: body.messages: equals the turns of none of the problems",
        ": body.messages: lines 1 and 4 have different system prompts",
        ":5: body.messages: must be a list of turns with role and text",
    ):
        assert f"{prompts}{line}" in str(wrong.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": None}, "--model: is needed"),
        ({"model": "scripted"}, "--model: "),
        ({"run_id": "a/b"}, "--run-id: "),
        ({"replicates": 0}, "--replicates: must be at least 1"),
        ({"replicates": 9}, "--replicates 9: no problem has more than 1"),
        ({"problems": None}, "--problems: is needed"),
        ({"prompts": "problems.jsonl"}, "--prompts: is the input file of an openai-batch"),
    ],
)
def test_flags_that_cannot_be_used_are_named(
    place: Path, fields: dict[str, Any], message: str
) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    if fields.get("prompts"):
        fields = {"prompts": str(place / fields["prompts"])}
    with pytest.raises(BadInput, match=message):
        import_from(str(file), options(place, **fields))
    assert not (place / "store").exists()


def test_a_file_of_no_known_format_is_said_to_be_none(place: Path) -> None:
    with pytest.raises(BadInput, match="unknown format; name it with --format"):
        import_from(str(place / "problems.jsonl"), options(place))


# Model output is data.


@pytest.mark.slow
def test_hostile_responses_are_stored_as_they_are_and_do_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = (
        "{{ 7 * 7 }} '); DROP TABLE runs; -- \x1b[2J\nReference 7:\n../../etc \ud800 \\boxed{2}"
    )
    rows = reference_rows()[:1]
    rows[0]["round_responses"][0] = [response(hostile)] * 4
    file = write_lines(place / "results.jsonl", rows)
    assert import_from(str(file), options(place)) == 0
    assert "\x1b" not in capsys.readouterr().out
    (stored,) = asked(place, "SELECT DISTINCT text FROM messages WHERE round = 1")
    assert stored == (hostile.replace("\ud800", "\ufffd"),)


@pytest.mark.slow
def test_the_command_prints_the_result_and_the_tables_answer(place: Path, command: Pacore) -> None:
    file = write_lines(place / "results.jsonl", reference_rows()[:4])
    store = ["--store", str(place / "store")]
    done = command(
        "import", str(file), "--problems", str(place / "problems.jsonl"), "--model", "them",
        "--run-id", "theirs", *store,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "run theirs · them · K = [4, 1]" in done.stdout
    assert "100.0 % (4 of 4 answers scored)" in done.stdout
    shown = command("show", "theirs", "sum-3", *store)
    assert "\\boxed{6}" in shown.stdout
    audited = command("audit", "theirs", *store)
    assert audited.returncode == 0, audited.stdout + audited.stderr
    rows = command("query", "SELECT count(*) AS n FROM trajectories", "--format", "csv", *store)
    assert next(csv.DictReader(io.StringIO(rows.stdout)))["n"] == "20"


@pytest.mark.slow
def test_what_is_not_known_of_an_import_is_not_made_up(place: Path) -> None:
    file = write_lines(place / "results.jsonl", reference_rows())
    import_from(str(file), options(place, run_id="mine"))
    store = open_store(str(place / "store"))
    run = open_run(store, "mine")
    assert not {"engine", "endpoints", "temperature"} & run.config.keys()
    with pytest.raises(
        Refused, match="run mine was imported; no settings say how to generate more of it"
    ):
        config_of(run, {})
    with pytest.raises(BadInput, match="endpoints: engine http needs at least one"):
        derived_config(store, run, "judge", 2, {})
    judge = derived_config(store, run, "judge", 2, {"endpoints": ("http://127.0.0.1:9/v1",)})
    assert (judge.model, judge.replicates) == ("elsewhere-8b", 2)

"""The audit on runs of every origin: retried, imported, exported, borrowed from, on S3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pacore.audit.audit import Audit
from pacore.audit.lineage import explain
from pacore.cli.exchange import ImportOptions, import_from
from pacore.exchange.export_folder import export_run
from pacore.exchange.imports import import_export
from pacore.runs.retry import begin_retry
from pacore.store.backends.opening import open_store
from pacore.store.layout import imported_texts_key
from pacore.store.run import imported_texts, open_run
from tests.fixtures.audited import FAULTY, RUN, audited, errors, finish
from tests.fixtures.corruption import Row, flip, rewrite, standing_rows, unit_of
from tests.fixtures.pipeline import run_stages, scripted_config, write_problems
from tests.fixtures.stores import fresh_url

pytestmark = pytest.mark.slow


def retried(folder: Path) -> Any:
    """A closed run whose cut trajectories were tried again under another limit."""
    problems = write_problems(folder / "problems.jsonl", 4)
    config = scripted_config(
        folder / "store", problems, model="scripted?words=12&empty=0.1", max_tokens=14,
        widths=(3, 2), run_id=RUN, shard_size=2,
    )  # fmt: skip
    store = finish(config)
    begin_retry(store, open_run(store, RUN), "finish_reason = 'length'", 60)
    assert errors(store) == []
    return finish(config)


def test_a_retried_run_is_sound_and_its_explanation_names_what_was_replaced(
    tmp_path: Path,
) -> None:
    store = retried(tmp_path)
    rows = standing_rows(store, RUN)["trajectories"]
    links = [row for row in rows if row["retry_of"] is not None]
    assert links
    assert audited(store) == []
    found = explain(store, RUN, links[0]["problem_id"])
    attempts = [
        attempt.row
        for step in found.lineages[0].rounds
        for prompt in step.prompts
        for attempt in prompt.attempts
    ]
    assert [a.retry_of for a in attempts if a.trajectory_id == links[0]["trajectory_id"]] == [
        links[0]["retry_of"]
    ]


def test_a_retry_of_nothing_and_under_another_limit_is_named(tmp_path: Path) -> None:
    store = retried(tmp_path)

    def alter(rows: list[Row]) -> None:
        one, two = [row for row in rows if row["retry_of"] is not None][:2]
        one["retry_of"], two["max_tokens"] = "0" * 32, 61

    file = rewrite(store, unit_of(store, RUN, "trajectories", 1), alter)
    named = {finding.check for finding in errors(store) if finding.where.file == file}
    assert {"lineage", "identity"} <= named


def test_an_imported_run_is_sound(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    rows = [
        {
            "conversation": [{"role": "user", "content": f"What is {n} + {2 * n + 1}?"}],
            "responses": [f"\\boxed{{{3 * n + 1}}}", f"<think>hm</think>It is \\boxed{{{n}}}.", ""],
            "ground_truth": {"answer": str(3 * n + 1)},
        }
        for n in range(3)
    ]
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    url = str(tmp_path / "store")
    given = ImportOptions(url, problems=str(problems), model="elsewhere", run_id=RUN)
    assert import_from(str(file), given) in (0, 3)
    store = open_store(url)
    audit = Audit(store, RUN)
    assert [str(finding) for finding in audit.findings()] == []
    assert audit.tally.answers == 3 * 3


def test_an_exported_run_is_as_sound_elsewhere_and_texts_on_loan_are_hashed(
    tmp_path: Path,
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    for run_id, widths in (("base", (3,)), (RUN, (5,))):
        config = scripted_config(tmp_path / "store", problems, widths=widths, run_id=run_id)
        run_stages(config)
    folder, elsewhere = open_store(str(tmp_path / "out")), open_store(str(tmp_path / "elsewhere"))
    export_run(open_store(config.store), RUN, folder)
    import_export(folder, elsewhere)
    assert [str(finding) for finding in audited(elsewhere)] == []
    key = imported_texts(elsewhere, RUN)[0].path
    flip(elsewhere, key, 100)
    (finding,) = errors(elsewhere)
    assert finding.where.file == key
    assert f"{imported_texts_key(RUN)} says " in finding.what


def test_an_audit_of_a_run_on_s3_finds_what_one_on_a_folder_does(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 3)
    url = fresh_url(request, "s3", tmp_path)
    config = scripted_config(
        tmp_path, problems, store=url, model=FAULTY, widths=(3,), run_id=RUN, attempts=4
    )
    store = finish(config)
    assert [str(finding) for finding in audited(store)] == []
    assert explain(store, RUN, "sum-0001").lineages[0].rounds

    def alter(rows: list[Row]) -> None:
        rows[0]["text"] = f"{rows[0]['text']} "

    file = rewrite(store, unit_of(store, RUN, "messages", 1), alter)
    assert {"messages", "prompts"} <= {finding.check for finding in errors(store)}
    flip(store, file, 99)
    assert [f.where.file for f in errors(store) if f.check == "files"] == [file]

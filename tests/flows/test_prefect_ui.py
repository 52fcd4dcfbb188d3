"""What a person does and sees in the Prefect UI, in a real browser without the internet."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.evaluate import evaluate
from flows.infer import infer
from pacore.core.config.evaluate import EvaluateConfig
from pacore.store.backends.opening import open_store
from pacore.store.nights import read_nights
from tests.conftest import Pacore
from tests.fixtures.browser import SECONDS, Browser, chromium, open_form, submit
from tests.fixtures.deployed import asked, deployed, worker
from tests.fixtures.pipeline import journal_size, scripted_config, tables, write_problems

pytestmark = pytest.mark.slow


@pytest.fixture
def browser(prefect_api: str) -> Iterator[Browser]:
    with chromium(prefect_api) as browser:
        yield browser


def shown_table(page: Page) -> list[list[str]]:
    # A row is there before its cells are.
    expect(page.locator("tbody tr td").first).not_to_be_empty()
    expect(page.locator("tbody tr").last.locator("td").first).not_to_be_empty()
    rows: list[list[str]] = page.evaluate(
        "[...document.querySelectorAll('tbody tr')].map("
        "row => [...row.querySelectorAll('td')].map(cell => cell.textContent.trim()))"
    )
    return rows


@pytest.fixture
def typed(tmp_path: Path, prefect_api: str, command: Pacore) -> str:
    """The store of a run that the command line made; a flow cannot run where a browser is driven."""
    assert prefect_api
    problems, store = write_problems(tmp_path / "problems.jsonl", 4), str(tmp_path / "typed")
    done = command(
        "run", "--problems", str(problems), "--engine", "scripted", "--model", "scripted?words=20",
        "--store", store, "--widths", "3,2", "--run-id", "same-in-ui",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return store


def test_a_run_started_in_the_ui_writes_the_tables_the_command_line_writes(
    tmp_path: Path, prefect_api: str, typed: str, browser: Browser
) -> None:
    problems = tmp_path / "problems.jsonl"
    deployed(prefect_api)
    with worker(prefect_api, tmp_path):
        open_form(browser)
        browser.fill("Problems", str(problems))
        browser.choose("Engine", "scripted")
        browser.fill("Model", "scripted?words=20")
        browser.fill_list("Widths", [3, 2])
        browser.fill("Store", str(tmp_path / "from-ui"))
        browser.fill("Run ID", "same-in-ui")
        page = browser.go(f"/runs/flow-run/{submit(browser)}")
        expect(page.locator(".state-badge", has_text="Completed").first).to_be_visible(
            timeout=240 * SECONDS
        )
    expect(page.get_by_text("infer-same-in-ui").first).to_be_visible()
    expect(page.get_by_text("run:same-in-ui").first).to_be_visible()
    browser.tab("Artifacts")
    page.get_by_text("progress-same-in-ui").last.click()
    expect(page.get_by_text("Progress: 100%")).to_be_visible()
    expect(page.get_by_text("24/24 trajectories")).to_be_visible()
    page.go_back()
    browser.tab("Artifacts")
    page.get_by_text("results-same-in-ui").last.click()
    assert [row[0] for row in shown_table(page)] == [f"sum-{n:04d}" for n in (0, 2, 1, 3)]
    from_ui = tables(str(tmp_path / "from-ui"), "same-in-ui")
    assert from_ui == tables(typed, "same-in-ui")
    assert len(from_ui["answers"]) == 4


def expect_refusal(browser: Browser, field: str, reason: str) -> None:
    browser.press("Submit")
    said = f"Validation failed for field 'config.{field}'. Failure reason: {reason}"
    expect(browser.page.get_by_text(said).first).to_be_visible()


def test_a_run_is_suspended_resumed_cancelled_retried_and_copied_as_a_person_clicks(
    tmp_path: Path, prefect_api: str, browser: Browser
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 14)
    store = str(tmp_path / "store")
    deployed(prefect_api)

    def has_generated(more: int) -> None:
        before, deadline = journalled(store), time.monotonic() + 240
        while journalled(store) < before + more:
            assert time.monotonic() < deadline, states()
            browser.page.wait_for_timeout(100)

    def states() -> list[tuple[str, str, str | None]]:
        flow_run_id = browser.page.url.rpartition("/")[2].partition("?")[0]
        history = asked(f"{prefect_api}/flow_run_states/?flow_run_id={flow_run_id}")
        return [(state["timestamp"], state["name"], state["message"]) for state in history]

    def stands_still() -> None:
        before = journalled(store)
        browser.page.wait_for_timeout(1500)
        assert before < 14 * 5
        assert journalled(store) == before

    with worker(prefect_api, tmp_path):
        open_form(browser)
        browser.fill("Problems", str(problems))
        browser.fill("Model", "scripted?words=20&latency_ms=1800")
        browser.choose("Preset", "low")
        browser.fill("Store", store)
        browser.fill("Run ID", "clicked")
        browser.field("Concurrency").locator("input").fill("2")
        page = browser.go(f"/runs/flow-run/{submit(browser)}")
        browser.wait_for_state("Running")
        has_generated(2)
        browser.change_state("Suspend", "Submit")
        browser.wait_for_state("Suspended")
        page.wait_for_timeout(3000)
        stands_still()
        browser.change_state("Resume", "Submit")
        has_generated(2)
        browser.change_state("Cancel", "Confirm")
        browser.wait_for_state("Cancelled")
        stands_still()
        browser.change_state("Retry", "Retry")
        browser.wait_for_state("Completed")
        assert journalled(store) == 14 * 5
        assert len(tables(store, "clicked")["answers"]) == 14

        page.locator(".p-icon-button-menu button, button.p-icon-button-menu").last.click()
        page.get_by_text("Copy to new run").click()
        expect(browser.field("Store").locator("textarea")).to_have_value(store)
        browser.choose("Preset", "single")
        browser.fill("Run ID", "copied")
        browser.go(f"/runs/flow-run/{submit(browser)}")
        browser.wait_for_state("Completed")
    assert journalled(store) == 14 * 5, (
        "the copy has other rounds, and the same trajectories in the first"
    )


def journalled(store: str) -> int:
    return journal_size(store) if Path(store, "journal").exists() else 0


def test_the_form_says_what_is_wrong_with_a_value_before_a_run_is_made(
    prefect_api: str, browser: Browser
) -> None:
    deployed(prefect_api)
    open_form(browser)
    for loaded_late in ("Replicates", "Concurrency", "Partial"):
        expect(browser.field(loaded_late).first).to_be_visible()
    titles = [
        title.removesuffix(" (Optional)")
        for title in browser.page.locator(".schema-form-property__label").all_text_contents()
    ]
    assert titles[:6] == ["config", "What", "Problems", "Run ID", "Limit", "Fields"]
    how, where, limits = (titles.index(name) for name in ("How", "Where", "Limits"))
    assert titles[how + 1 : how + 5] == ["Model", "Preset", "Widths", "Replicates"]
    assert titles[where + 1 : where + 4] == ["Engine", "Endpoints", "Store"]
    assert titles[limits + 1] == "Concurrency"
    assert not browser.page.get_by_text("Property is type").count()
    assert not browser.page.get_by_role("button", name="None", exact=True).count()
    browser.fill("Run ID", "not/a/name")
    expect_refusal(browser, "what.run_id", "'not/a/name' does not match")
    browser.fill("Run ID", "a-name")
    browser.field("Replicates").locator("input").fill("0")
    expect_refusal(browser, "how.replicates", "0 is less than the minimum of 1")
    browser.field("Replicates").locator("input").fill("1")
    browser.choose("Preset", "low")
    browser.fill_list("Widths", [4])
    expect_refusal(browser, "how.widths", "[4] is expected to be empty")
    assert browser.page.url.partition("?")[0].endswith("/run")


def expect_progress(browser: Browser, state: str) -> None:
    """The night's progress says of its job what state it is in, with the trajectories of its run."""
    page = browser.page
    browser.tab("Artifacts")
    page.locator("a[href*='/artifacts/']", has_text="progress-night").last.click()
    deadline = time.monotonic() + 120
    while not page.locator("tbody tr", has_text=state).count():
        assert time.monotonic() < deadline
        page.wait_for_timeout(500)
        page.reload()
        page.wait_for_load_state("networkidle")
    row = page.locator("tbody tr", has_text=state)
    expect(row).to_contain_text("clicked")
    expect(row).to_contain_text(re.compile(r"\d+/50"))
    expect(
        page.get_by_text(re.compile("of the night's max_tokens_total 1,000,000"))
    ).to_be_visible()


def test_a_night_is_started_in_its_form_and_its_page_says_what_was_decided(
    tmp_path: Path, prefect_api: str, browser: Browser
) -> None:
    store = str(tmp_path / "store")
    deployed(prefect_api)
    with worker(prefect_api, tmp_path):
        open_form(browser, "local-nightly")
        for loaded_late in ("Replicates", "Concurrency", "Keep nights"):
            expect(browser.field(loaded_late).first).to_be_visible()
        assert not browser.page.get_by_text("Property is type").count()
        assert not browser.page.get_by_role("button", name="None", exact=True).count()
        browser.fill("Name", "clicked")
        browser.fill("Problems", str(write_problems(tmp_path / "problems.jsonl", 10)))
        browser.fill("Store", store)
        browser.fill("Model", "scripted?words=20&latency_ms=6000")
        browser.field("Max tokens total").locator("input").fill("1000000")
        browser.choose("Preset", "low")
        flow_run = f"/runs/flow-run/{submit(browser)}"
        page = browser.go(flow_run)
        expect_progress(browser, "running")
        browser.go(flow_run)
        browser.wait_for_state("Completed")
        expect_progress(browser, "NO BASELINE")
        expect(page.get_by_text("Progress: 100%")).to_be_visible()
    browser.go(flow_run)
    browser.tab("Artifacts")
    page.locator("a[href*='/artifacts/']", has_text="nightly").last.click()
    (night,) = read_nights(open_store(store), "clicked")
    row = page.locator("tbody tr").first
    for text in ("clicked", night.run_id, "NO BASELINE"):
        expect(row).to_contain_text(text)
    assert len(tables(store, night.run_id)["answers"]) == 10


def test_the_results_table_shows_hostile_texts_as_what_they_are(
    tmp_path: Path, prefect_api: str, browser: Browser
) -> None:
    hostile = [
        "<img src=http://127.0.0.1:9/stolen.png onerror=\"document.title='taken'\">",
        "![picture](http://127.0.0.1:9/stolen.png)",
        "[click](javascript:alert(1))",
        "https://127.0.0.1:9/page and www.example.org",
        "<script>document.title='taken'</script>",
    ]
    problems = tmp_path / "problems.jsonl"
    rows: list[Mapping[str, Any]] = [
        {"id": f"*{number}* [x]({number})", "problem": "What is 1 + 1?", "answer": text}
        for number, text in enumerate(hostile)
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = scripted_config(tmp_path / "store", problems, widths=(), run_id="hostile-in-ui")
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        state = infer(config, return_state=True)
    assert state.is_completed()
    page = browser.go(f"/runs/flow-run/{state.state_details.flow_run_id}")
    browser.tab("Artifacts")
    page.get_by_text("results-hostile-in-ui").last.click()
    shown = shown_table(page)
    assert [row[0] for row in shown] == [row["id"] for row in rows]
    assert [row[2] for row in shown] == hostile
    assert page.locator("td a, td img, td script").count() == 0
    assert "taken" not in page.title()


def test_the_report_of_an_evaluation_is_headings_and_tables(
    tmp_path: Path, prefect_api: str, browser: Browser
) -> None:
    problems = write_problems(tmp_path / "problems.jsonl", 6)
    config = scripted_config(
        tmp_path / "store", problems, widths=(4,), replicates=2, run_id="reported",
        model="scripted?words=20&truncate=0.2",
    )  # fmt: skip
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        infer(config, return_state=True)
        state = evaluate(EvaluateConfig(runs=("reported",), store=config.store), return_state=True)
    assert state.name == "Completed", state.message
    page = browser.go(f"/runs/flow-run/{state.state_details.flow_run_id}")
    browser.tab("Artifacts")
    page.get_by_text("evaluation-reported").last.click()
    expect(page.get_by_role("heading", name="run reported · scripted").first).to_be_visible()
    expect(page.get_by_role("heading", name="accuracy by grading")).to_be_visible()
    texts = page.locator("table").all_text_contents()
    assert any("effective TTC" in text and "tokens an answer" in text for text in texts)
    assert any("pass@1" in text and "maj@4" in text for text in texts)
    assert any("current" in text and "auto" in text for text in texts)
    assert not page.get_by_text("|", exact=False).count()

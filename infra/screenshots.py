"""Writes the pictures of docs/operate.md: the form of a night, one that runs, and one that has ended.

    .venv/bin/python -m infra.screenshots

It starts a Prefect server and a worker of its own, and needs Chromium (`infra/chromium.sh`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from tests.fixtures.browser import Browser, chromium, open_form, submit

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
STORE = "./build/night"
FADE_MS = 4000
"""Longer than a page takes to appear."""


@contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of a Prefect server with the deployments and a worker."""
    environment = {**os.environ, "PACORE_HOME": str(home)}
    environment.pop("PREFECT_API_URL", None)

    def pacore(*arguments: str) -> str:
        command = [sys.executable, "-m", "pacore.cli", *arguments]
        return subprocess.run(
            command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout

    try:
        pacore("up")
        found = re.search(r"http://[\d.]+:\d+", pacore("server", "status"))
        assert found
        yield found[0]
    finally:
        pacore("down")


def take(browser: Browser) -> None:
    """Start a night from its form as a person does, and photograph what one sees."""
    open_form(browser, "local-nightly")
    expect(browser.field("Keep nights").first).to_be_visible()
    browser.fill("Name", "sums")
    browser.fill("Store", STORE)
    browser.fill("Model", "scripted?latency_ms=15000")
    browser.field("Max tokens total").locator("input").fill("1000000")
    page = browser.page
    page.mouse.wheel(0, -10_000)
    page.screenshot(path=IMAGES / "night-form.png")
    flow_run = f"/runs/flow-run/{submit(browser)}"
    browser.go(flow_run)
    browser.tab("Subflow Runs")
    expect(page.get_by_text(re.compile("infer-sums")).first).to_be_visible()
    page.wait_for_timeout(FADE_MS)
    page.screenshot(path=IMAGES / "night-running.png")
    browser.tab("Artifacts")
    page.locator("a[href*='/artifacts/']", has_text="progress-night").last.click()
    expect(page.locator("tbody tr").first).to_contain_text("sums")
    page.wait_for_timeout(FADE_MS)
    page.reload()
    expect(page.locator("tbody tr").first).to_contain_text("sums")
    page.wait_for_timeout(FADE_MS)
    page.screenshot(path=IMAGES / "night-progress.png")
    browser.go(flow_run)
    # Among the runs of its jobs one says Completed while the night goes on.
    browser.tab("Logs")
    browser.wait_for_state("Completed")
    browser.tab("Artifacts")
    page.locator("a[href*='/artifacts/']", has_text="nightly").last.click()
    expect(page.locator("tbody tr").first).to_contain_text("NO BASELINE")
    page.wait_for_timeout(FADE_MS)
    page.screenshot(path=IMAGES / "night-finished.png")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    shutil.rmtree(ROOT / STORE, ignore_errors=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(Path(scratch)) as home,
        chromium(home) as browser,
    ):
        take(browser)


if __name__ == "__main__":
    main()

"""Every command and every program of the documentation works, and prints what its page says."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pacore
from tests.conftest import Pacore
from tests.fixtures.pages import (
    PAGES,
    TUTORIAL,
    Block,
    blocks_of,
    pacore_arguments,
    pattern_of,
    plain,
    text_of,
    write_tutorial_problems,
)

MOST_SKIPPED = 6


@pytest.fixture(scope="module")
def after_the_tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tutorial leaves, made without Prefect: the problem set and the graded runs."""
    folder = tmp_path_factory.mktemp("tutorial")
    write_tutorial_problems(folder)
    settings: dict[str, Any] = {
        "problems": str(folder / "sums.jsonl"), "engine": "scripted", "store": str(folder / "store"),
    }  # fmt: skip
    for run_id, preset, replicates in (("single", "single", 4), ("low", "low", 1)):
        config = pacore.RunConfig.model_validate(
            {**settings, "run_id": run_id, "preset": preset, "replicates": replicates}
        )
        pacore.run(config, progress=False)
    pacore.evaluate(["single", "low"], store=settings["store"], progress=False)
    return folder


def run_shell(block: Block, command: Pacore) -> str:
    """Run the commands of a block one after the other. Returns what the last one printed."""
    printed = ""
    for place, line in enumerate(block.commands, 1):
        arguments = pacore_arguments(line)
        done = (
            subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
            if arguments is None
            else command(*arguments)
        )
        is_last = place == len(block.commands)
        assert done.returncode == int((is_last and block.marked("exit")) or 0), (line, done.stderr)
        printed = done.stdout
    return printed


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_to_type_works_in_its_order(
    page: str,
    tmp_path: Path,
    command: Pacore,
    capfd: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if page not in ("README.md", TUTORIAL):
        after_the_tutorial: Path = request.getfixturevalue("after_the_tutorial")
        shutil.copytree(after_the_tutorial, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        name = block.marked("file")
        if name is not None:
            Path(name).write_text(block.text)
        if block.marked("skip") is not None or name is not None:
            continue
        if block.kind == "sh":
            printed = run_shell(block, command)
        elif block.kind == "python":
            capfd.readouterr()
            exec(compile(block.text, f"{page}, line {block.line}", "exec"), names)
            printed = capfd.readouterr().out
        else:
            continue
        if block.output is not None:
            assert re.fullmatch(pattern_of(block.output), plain(printed)), (
                f"{page}, line {block.line}: shown is\n{block.output}\nprinted was\n{printed}"
            )


def test_what_is_not_tried_says_why_and_is_little() -> None:
    skipped = [block.marked("skip") for page in PAGES for block in blocks_of(page)]
    reasons = [reason for reason in skipped if reason is not None]
    assert all(re.fullmatch(r"because .{10,}", reason) for reason in reasons), reasons
    assert len(reasons) <= MOST_SKIPPED


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_stands_in_a_block_that_is_tried(page: str) -> None:
    text = text_of(page)
    fences = re.findall(r"^\s*```(\w*)", text, re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(page)), "a fence does not begin its line, or is open"
    assert all(kind for kind in fences[::2]), "a block without a language"
    assert not re.findall(r"^(?: {4}|\t)(?:pacore|import|make|\$) .*", text, re.MULTILINE)
    assert all(block.marked("file") for block in blocks_of(page) if block.kind in ("jsonl", "yaml"))


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks_of(page)])
def test_a_marker_is_one_that_the_tests_know(block: Block) -> None:
    assert re.fullmatch(r"|skip because .+|file [\w.-]+|exit \d", block.marker)

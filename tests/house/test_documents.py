"""What the documents promise exists: commands, flags, tables, files, and what the demo prints."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import click
import pytest

from pacore.cli.main import app, command_of
from pacore.errors import Exit
from pacore.warehouse.relations import MARTS
from pacore.warehouse.tables import STAGED
from tests.conftest import ROOT
from tests.fixtures.pages import PAGES, blocks_of, text_of

README = (ROOT / "README.md").read_text()

ALL_PAGES = "\n".join(text_of(page) for page in PAGES)

COMMANDS = [
    command
    for page in PAGES
    for block in blocks_of(page)
    if block.kind == "sh"
    for command in block.commands
    if command.split()[0].endswith("pacore")
]


TRACKED = subprocess.run(
    ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
).stdout.split()


def flags_of(command: click.Command) -> set[str]:
    return {flag for parameter in command.params for flag in parameter.opts}


@pytest.mark.parametrize("typed", COMMANDS)
def test_every_command_and_flag_in_the_documents_exists(typed: str) -> None:
    words = shlex.split(typed, comments=True)[1:]
    command = command_of(words[0])
    if isinstance(command, click.Group):
        command = command.commands.get(words[1], command)
    assert {word for word in words if word.startswith("--")} <= flags_of(command)


def test_the_documents_show_every_command() -> None:
    assert {typed.split()[1] for typed in COMMANDS} == set(app.list_commands(click.Context(app)))


def test_every_make_target_in_the_documents_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    documents = ALL_PAGES + (ROOT / "CONTRIBUTING.md").read_text()
    for target in set(re.findall(r"^(?:    )?make (\w+)", documents, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_relation_the_documents_name_is_there_to_be_asked() -> None:
    assert set(re.findall(r"`mart_(\w+)`", ALL_PAGES)) == set(MARTS)
    for relation in STAGED:
        assert f"`{relation}`" in text_of("docs/query.md")


def test_the_readme_shows_the_demo_on_the_problems_that_are_shipped() -> None:
    lines = (ROOT / "infra" / "demo" / "problems.jsonl").read_text().splitlines()
    for line in lines:
        problem = json.loads(line)
        assert re.search(rf"^{re.escape(problem['id'])} .*\b5 ", README, re.MULTILINE), problem


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_link_to_a_file_or_a_heading_leads_to_one(page: str) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text_of(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        assert not anchor or anchor in anchors_of(path.read_text()), f"{target}#{anchor}"


def test_the_readme_leads_to_every_page() -> None:
    assert all(f"({page})" in README for page in PAGES if page != "README.md")


@pytest.mark.parametrize("name", TRACKED)
def test_no_file_names_a_machine_or_a_package_registry(name: str) -> None:
    content = (ROOT / name).read_bytes()
    homes = [
        "/" + "root/",
        "/" + "work/",
        "/tmp/" + "w",
        "pypi" + ".org",
        "files.python" + "hosted",
    ]
    assert not [place for place in homes if place.encode() in content]


def test_the_exit_codes_in_the_documents_are_the_codes_with_their_meanings() -> None:
    documented = re.findall(r"^\| (\d+) \| (.*) \|$", text_of("docs/operate.md"), re.MULTILINE)
    assert documented == [(str(int(code)), code.meaning) for code in Exit]


def test_the_exit_codes_and_the_folder_of_logs_are_in_the_help() -> None:
    said = " ".join(app.get_help(click.Context(app, **app.context_settings)).split())
    assert all(f" {int(code)} {code.meaning} " in said for code in Exit)
    assert " PACORE_HOME " in said

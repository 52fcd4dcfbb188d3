"""Help: what people read of each command before they type it, kept as golden files."""

from __future__ import annotations

import click
import pytest

from pacore.cli.main import COMMANDS, app, command_of
from tests.fixtures.golden_files import golden


def help_of(name: str) -> str:
    """The help of a command and of those below it, as in a terminal 100 characters wide."""
    root = click.Context(app, info_name="pacore", terminal_width=100, **app.context_settings)
    command = command_of(name)
    context = click.Context(command, root, name)
    texts = [command.get_help(context)]
    if isinstance(command, click.Group):
        texts += [
            one.get_help(click.Context(one, context, below))
            for below, one in sorted(command.commands.items())
        ]
    return "\n\n".join(texts) + "\n"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_is_its_golden_file(name: str) -> None:
    assert help_of(name) == golden(f"help/{name}.txt", help_of(name))


def test_the_help_of_pacore_is_its_golden_file() -> None:
    root = click.Context(app, info_name="pacore", terminal_width=100, **app.context_settings)
    found = app.get_help(root) + "\n"
    assert found == golden("help/pacore.txt", found)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_says_what_the_help_of_each_begins_with(name: str) -> None:
    stem = COMMANDS[name].help.removesuffix(".")
    said = " ".join((command_of(name).help or "").split())
    assert said.startswith(stem), f"{stem!r} is not how {said[:80]!r} begins"

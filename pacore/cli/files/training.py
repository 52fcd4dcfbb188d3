"""Commands of training sets: ``training FILE`` and ``training show``."""

from __future__ import annotations

import click

from pacore.api.jobs import list_trainings, make_tests, make_training, show_training
from pacore.api.report import Form
from pacore.cli.config_options import read_nested_file
from pacore.cli.options import RunByDefault, with_format, with_store
from pacore.core.config.training import TrainingConfig
from pacore.errors import Exit
from pacore.training.generated_tests import TESTS

with_forms = with_format("table", "markdown", "latex", "html", "json")


@click.group(cls=RunByDefault)
def training_command() -> None:
    """Make a training set: the problems of some sources that synthesis can be learned from.

    pacore training FILE makes the training set of a YAML file: its "name", its "sources", the settings of
    its "run" and, for stage 2, of its "synthesis". Sources are filtered, a pool is drawn of each problem,
    and stage 1 keeps those that are right sometimes and not too often; stage 2 those whose synthesis by a
    checkpoint is right sometimes and not always. The runs are ordinary runs: show, audit, export them.
    """


@training_command.command("run")
@with_forms
@click.argument("file", metavar="FILE")
def run_training_command(file: str, form: Form) -> int:
    """Make the training set of a file; the same command resumes, and redoes only what changed."""
    click.echo(make_training(read_nested_file(file, TrainingConfig)).written(form))
    return Exit.COMPLETE


@training_command.command("show")
@with_store
@with_forms
@click.argument("name", metavar="[NAME]", required=False)
def show_training_command(store: str, form: Form, name: str | None) -> int:
    """Show a training set: its problems before and after each stage, and why others are not in it; without
    a name all of them, a line each.
    """
    report = list_trainings(store) if name is None else show_training(store, name)
    click.echo(report.written(form))
    return Exit.COMPLETE


@training_command.command("tests")
@with_forms
@click.option(
    "--tests",
    type=click.IntRange(1, 1000),
    default=TESTS,
    show_default=True,
    help="Most tests of a problem.",
)
@click.option(
    "--output",
    metavar="FILE",
    required=True,
    help="The problems with their tests, a new JSONL file.",
)
@click.argument("problems", metavar="SET")
def tests_command(problems: str, output: str, tests: int, form: Form) -> int:
    """Make the tests of code problems by programs that come with each problem.

    A row of SET has a "problem"; a "generator" that reads a line SEED NUMBER TESTS and prints an input; a
    "validator" that ends with exit code 0 for an input that the problem allows; "solutions" that are
    right, and "wrong" ones; and an "entry_point" where the solutions are functions, whose arguments the
    generator prints as a JSON list. The programs run in the sandbox. Where a right solution fails there
    are no tests; wrong solutions that pass all tests are counted.
    """
    click.echo(make_tests(problems, output, tests=tests).written(form))
    return Exit.COMPLETE

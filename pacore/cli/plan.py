"""Commands for before a run: ``plan`` and ``problems``."""

from __future__ import annotations

from typing import Any

import click

from pacore.api.plan import plan
from pacore.api.progress import waiting
from pacore.api.report import Form
from pacore.cli.config_options import config_from, say_cautions, with_run_options
from pacore.cli.options import print_report, with_report
from pacore.errors import Exit
from pacore.report.rendering.terminal import to_text
from pacore.text import shown


@click.command()
@with_run_options
@with_report
def plan_command(
    config_file: str | None, like: str | None, form: Form, figure: str | None, **flags: Any
) -> int:
    """Say what a run would generate and reuse; generates nothing.

    Reads the store and, where it answers, the endpoint.
    """
    config = config_from(flags, config_file, like)
    with waiting() as step:
        found = plan(
            config,
            lambda notice: click.echo(notice, err=True),
            lambda survey: say_cautions(survey.cautions),
            step,
        )
    print_report(found, form, figure)
    return Exit.COMPLETE


@click.command()
@click.option(
    "--fields",
    metavar="PART=PATH,…",
    help="Which field is what, where pacore does not recognise it: "
    "problem=Prompt,answer=Final.value,id=uid. "
    "Parts are problem, answer, id, options, grader and without; grader takes a grader's name, and "
    "without leaves columns out: without=image,audio.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N rows.")
@click.argument("place", metavar="SET")
def problems_command(place: str, fields: str | None, limit: int | None) -> int:
    """Describe a problem set: shapes, graders, digest, and the first problem.

    SET is a file of JSONL, JSON, CSV, TSV or Parquet, compressed or not, a folder of such files, or a
    pattern in quotes ('data/*.parquet'); local, or any URL that fsspec reads (hf://, s3://, https://,
    zip://NAME::ARCHIVE).

    A row is known by its fields and values, whatever the file is called, as the first of:

    \b
      HumanEval, MBPP, LiveCodeBench   programs, graded by running their tests
      PaCoRe-Train                     its responses are left out: `pacore import` takes them
      verl                             the gold answer is reward_model.ground_truth
      MultiChallenge                   graded by a judge
      GPQA, multiple choice            ARC, MMLU, MMLU-Pro, MedQA, columns A to J, …
      GSM8K, MATH, NeMo-Skills         MATH-500 too; a unique_id becomes the id
      contest                          AIME, HMMT
      prompt and label                 slime, OpenRLHF
      titled columns                   IMO-AnswerBench, {input, target}, {Question, Answer}, …
      ShareGPT, conversation           several turns; the last is from the user or a tool
      plain                            {id?, problem|question|prompt|messages, answer?, grader?}

    An id that has '/' or line breaks becomes one without (HumanEval/3 is HumanEval-3); show, explain
    and import take either. Cautions name rows that are unlike their neighbours, and gold answers that
    may be none; run prints them too, before anything is generated.

    Bad rows are named, a line for each kind, and nothing else is said. For rows of none of these, or
    to be read otherwise, there is --fields, here as in run, plan and import.
    """
    # Reports of problems read stores too.
    from pacore.report.problem import problem_set_sheet

    with waiting(f"reading the problem set {shown(place)}"):
        sheet = problem_set_sheet(place, fields, limit)
    click.echo(to_text(sheet))
    return Exit.COMPLETE

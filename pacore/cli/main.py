"""The command ``pacore``: run, plan, problems, status, show, query, server. What each exit code means
is in `pacore.errors.Exit`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Never

import click

from pacore import __version__
from pacore.cli.commands import compare, intervene, mechanism, sweep, with_prices
from pacore.cli.options import (
    ENGINE_FIELDS,
    config_from,
    flag_of,
    given,
    with_bounds,
    with_engine_of,
    with_run_options,
    with_store,
)
from pacore.core.grading.choose import is_by_rules
from pacore.errors import BadInput, Exit, PacoreError
from pacore.proxies import keep_loopback_direct
from pacore.text import visible_lines

with_timeout = click.option(
    "--grading-timeout-seconds",
    metavar="SECONDS",
    help="Longest grading of one answer.  [default: 5]",
)


with_workers = click.option(
    "--workers", metavar="N", help="Shards that are graded side by side.  [default: 2]"
)


EPILOG = "\n".join(
    [
        "\b",
        "Exit codes:",
        *(f"  {code:<5}{code.meaning}" for code in Exit),
        "",
        "\b",
        "Environment:",
        "  PACORE_HOME       folder for logs and the local Prefect server  [~/.local/state/pacore]",
        "  PREFECT_API_URL   the Prefect server to use, in place of a local one",
    ]
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="pacore")
def app() -> None:
    """Parallel Coordinated Reasoning over problem sets: resumable, cached, auditable."""


@app.command()
@with_run_options
def run(config_file: str | None, **flags: Any) -> int:
    """Run PaCoRe on a problem set, or go on with a run that was begun."""
    from pacore.cli.run import run_to_end

    return run_to_end(config_from(flags, config_file))


@app.command()
@with_store
@click.option("--where", required=True, help="SQL condition on the table trajectories.")
@click.option(
    "--max-tokens",
    type=click.IntRange(1, 2**31 - 1),
    help="Most tokens to generate this time; without it, as before.",
)
@click.option("--endpoint", "endpoints", multiple=True, help="Other endpoints than the run had.")
@click.option("--concurrency", type=int, help="Requests in flight at each endpoint.")
@with_bounds
@click.argument("run_id", metavar="RUN")
def retry(run_id: str, store: str, where: str, max_tokens: int | None, **flags: Any) -> int:
    """Try trajectories of a run again, and all that follows from them.

    Chosen are the slots whose trajectory meets the condition, such as "finish_reason = 'length'".
    Each gets a further attempt that names the one it replaces; what stood before stays a row. Only
    what changes is paid for. The same line goes on where it was interrupted, and so does run.
    """
    from pacore.bounded import Bounds
    from pacore.cli.run import retry_to_end

    bounds = Bounds.of(flags.pop("timeout"), flags.pop("memory"))
    changes = given(flags)
    return retry_to_end(store, run_id, (where, max_tokens), changes, bounds)


@app.command()
@with_run_options
def plan(config_file: str | None, **flags: Any) -> int:
    """Say what a run would do before it spends anything."""
    from pacore.cli.plan import show_plan

    return show_plan(config_from(flags, config_file))


@app.command()
@click.option(
    "--fields",
    metavar="PART=PATH,…",
    help="Which field is what, where pacore cannot know: problem=Prompt,answer=Final.value,id=uid. "
    "Parts are problem, answer, id, options, grader and without; grader takes a grader's name, and "
    "without leaves columns out: without=image,audio.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N rows.")
@click.argument("place", metavar="SET")
def problems(place: str, fields: str | None, limit: int | None) -> int:
    """Say what pacore makes of a problem set: shapes, graders, digest, and the first problem.

    SET is a file of JSONL, JSON, CSV or Parquet, compressed or not, a folder of such files, or a
    pattern in quotes ('data/*.parquet'); local, or any URL that fsspec knows (hf://, s3://, https://,
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
    may be none: run says them too, before anything is spent.

    Bad rows are named, a line for each kind, and nothing else is said. For rows of none of these, or
    to be read otherwise, there is --fields, here as in run, plan and import.
    """
    from pacore.report.problem import show_problem_set

    click.echo(show_problem_set(place, fields, limit))
    return 0


@app.command()
@with_store
@click.option(
    "--grader",
    default="auto",
    show_default=True,
    help="Grader of every answer, or auto for the one each problem calls for. judge:k=3,n=4 asks a "
    "model for n votes on each, of which k must say right; plain judge wants 4 of 4.",
)
@click.option(
    "--opinion", is_flag=True, help="A judge is shown no gold answer; it never stands as the score."
)
@with_engine_of("Judge")
@with_timeout
@with_workers
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def grade(opinion: bool, **flags: Any) -> int:
    """Grade every trajectory of runs at their end, all rounds; only a judge generates: its votes.

    Old verdicts stay beside new ones; the grading asked for last is the one that counts, and flips
    shows what it changed. The same line goes on where it was interrupted, and grades what a retry
    has replaced since.
    """
    from pacore.cli.evaluate import grade_to_end
    from pacore.cli.options import evaluation_from

    changes = given({name: flags.pop(name) for name in ENGINE_FIELDS})
    config = evaluation_from(flags)
    if not is_by_rules(str(config.grader)):
        from pacore.cli.evaluate import judge_to_end

        return judge_to_end(config, "opinion" if opinion else "gold", changes)
    if for_judges := [*changes, *(["opinion"] if opinion else [])]:
        raise BadInput(f"{flag_of(for_judges[0])}: is for a judge, and --grader is {config.grader}")
    return grade_to_end(config)


@app.command()
@with_store
@click.option(
    "--grader",
    help="Grader of every answer, or auto for the one each problem calls for; without it the one the "
    "run was last graded by.",
)
@with_timeout
@with_workers
@click.option(
    "--prices", metavar="FILE", help="Price table: CSV of model and prices per million tokens."
)
@click.argument("runs", metavar="RUN…", nargs=-1, required=True)
def evaluate(**flags: Any) -> int:
    """Grade runs, check every invariant over them, and report.

    Nothing is reported while a check returns rows: each is named with its first ones, and the exit
    code is 1.
    """
    from pacore.cli.evaluate import evaluate_to_end
    from pacore.cli.options import evaluation_from

    return evaluate_to_end(evaluation_from(flags))


@app.command()
@with_store
@click.option(
    "--from", "before", metavar="GRADING", help="Grading by its id, or the run's own: run."
)
@click.option("--to", "after", metavar="GRADING", help="Grading to hold against it.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Most flips to show; without it 50 in a table, and all in the other formats.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "spreadsheet", "json"]),
    default="table",
    show_default=True,
)
@click.argument("run_id", metavar="RUN")
@click.argument("other", metavar="[RUN]", required=False)
def flips(run_id: str, other: str | None, **options: Any) -> int:
    """Show which verdicts differ between two gradings of a run, or between two runs.

    Of one run the two gradings that were finished last are compared, the run's own being its first;
    of two runs the answers to problems both have.
    """
    from pacore.cli.read import print_flips

    run_ids = [run_id] if other is None else [run_id, other]
    gradings = (options["before"], options["after"])
    return print_flips(options["store"], run_ids, gradings, options["form"], options["limit"])


@app.command()
@with_store
@click.argument("run_ids", metavar="[RUN]…", nargs=-1)
def status(store: str, run_ids: tuple[str, ...]) -> int:
    """Say how far the runs of a store are."""
    from pacore.cli.read import print_status

    return print_status(store, run_ids)


@app.command()
@with_store
@click.argument("run_id", metavar="RUN")
@click.argument("problem_id", metavar="PROBLEM")
def show(store: str, run_id: str, problem_id: str) -> int:
    """Show the rounds, messages and answer of one problem."""
    from pacore.cli.read import print_problem

    return print_problem(store, run_id, problem_id)


@app.command()
@with_store
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "spreadsheet", "json"]),
    default="table",
    show_default=True,
)
@with_prices
@with_bounds
@click.argument("sql", metavar="SQL")
def query(sql: str, store: str, form: str, prices: str | None, **bounds: Any) -> int:
    """Query the tables: problems, trajectories, messages, answers, scores, runs.

    The query runs in a process of its own, which is ended when it takes too long or too much memory.
    """
    from pacore.bounded import Bounds, run_bounded

    run_bounded("pacore.report.query:answer", [store, sql, form, prices or ""], Bounds.of(**bounds))
    return 0


app.add_command(compare)


app.add_command(intervene)


app.add_command(mechanism)


app.add_command(sweep)


@app.command()
@with_store
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Most findings to show; all are counted.",
)
@click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.argument("run_id", metavar="RUN")
def audit(store: str, run_id: str, limit: int, form: str) -> int:
    """Hold everything a run has stored against what it was made from.

    Every file is hashed against its commit; ids, seeds, prompts, messages, answers, sums and the
    chain of snapshots are made once more and compared. Nothing is written. Exit code 0: nothing is
    wrong; 1: something is, each named with its file and row.
    """
    from pacore.cli.read import print_audit

    return print_audit(store, run_id, limit, form)


@app.command("repair")
@with_store
@click.argument("run_id", metavar="RUN")
def repair_(store: str, run_id: str) -> int:
    """Make the missing and damaged files of a run again from the journal; generates nothing.

    Every file is hashed against its commit. What its stages derive again byte for byte takes its
    place; what a later version of pacore writes with other bytes is committed as a repair of it. What
    cannot be derived is named with the reason, and the exit code is 1. The same line goes on where it
    was stopped.
    """
    from pacore.cli.read import print_repair

    return print_repair(store, run_id)


@app.command()
@with_store
@click.option("--replicate", type=int, help="Only this pass; the first is 0.")
@click.option("--round", "round_", type=int, help="Only this round; the first is 1.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.argument("run_id", metavar="RUN")
@click.argument("problem_id", metavar="PROBLEM")
def explain(run_id: str, problem_id: str, **options: Any) -> int:
    """Walk back from an answer to its trajectories and messages, with the exact prompts."""
    from pacore.cli.read import print_explanation

    place = (options["replicate"], options["round_"])
    return print_explanation(options["store"], run_id, problem_id, place, options["form"])


@app.command("import")
@with_store
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "reference", "pacore-train", "openai-batch", "export"]),
    default="auto",
    show_default=True,
)
@click.option("--problems", metavar="SET", help="Problem set the file's trajectories are of.")
@click.option(
    "--fields", metavar="PART=PATH,…", help="Which field of the problem set is what, as in run."
)
@click.option("--prompts", metavar="FILE", help="Input file of an openai-batch: what was asked.")
@click.option("--model", help="Model that made the trajectories, as far as you know.")
@click.option("--run-id", help="Name of the run; without one it is made from the content.")
@click.option("--replicates", type=int, help="Passes of each problem to take, not what all have.")
@click.argument("place", metavar="FILE")
def import_(place: str, **options: Any) -> int:
    """Bring in trajectories made elsewhere, or a folder that export wrote."""
    from pacore.cli.exchange import ImportOptions, import_from

    return import_from(place, ImportOptions(**options))


@app.command("export")
@with_store
@click.argument("run_id", metavar="RUN")
@click.argument("place", metavar="DEST")
def export(store: str, run_id: str, place: str) -> int:
    """Write a run as one folder that another store can import."""
    from pacore.cli.exchange import export_to

    return export_to(run_id, place, store)


@app.command()
@with_store
@click.option("--delete", is_flag=True, help="Delete it; without this it is only listed.")
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=float,
    default=1.0,
    show_default=True,
    help="Leave alone what was written within so many days; one at least.",
)
def gc(store: str, delete: bool, days: float) -> int:
    """List what lost races and killed processes left in a store, and how many bytes it takes.

    Only data files and temporaries that no commit and no snapshot names, never the journal.
    """
    from pacore.cli.read import print_garbage

    return print_garbage(store, days, delete)


@app.group()
def server() -> None:
    """The standing local Prefect server, used where PREFECT_API_URL is not set."""


@server.command("start")
def server_start() -> int:
    """Start it, or find it running; print its address."""
    from tasks.server import start

    click.echo(start())
    return 0


@server.command("stop")
def server_stop() -> int:
    """End it."""
    from tasks.server import stop

    address = stop()
    click.echo(f"stopped {address}" if address else "no local server was running")
    return 0


@server.command("status")
def server_status() -> int:
    """Say whether it runs, and where."""
    from tasks.server import running

    address = running()
    click.echo(address or "no local server is running")
    return Exit.COMPLETE if address else Exit.FAULT


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end a command as Ctrl-C does, so that what it owns is ended with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> Never:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code and lets no expected error show a traceback."""
    keep_loopback_direct(os.environ)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    try:
        with _interrupted_by_sigterm():
            code = app.main(arguments, prog_name="pacore", standalone_mode=False)
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("pacore: interrupted; the same line goes on where it stopped", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; what is left has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.COMPLETE
    except PacoreError as wrong:
        click.echo(f"pacore: {visible_lines(str(wrong))}", err=True)
        return wrong.exit_code
    return code if isinstance(code, int) else Exit.COMPLETE


if __name__ == "__main__":
    sys.exit(main())

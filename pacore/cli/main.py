"""The command ``pacore``: its commands by name, and what ends each of them.

What each exit code means is in `pacore.errors.Exit`.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from importlib import import_module
from typing import NamedTuple

import click

from pacore import __version__
from pacore.cli.options import NamedCommands, wanted_by
from pacore.errors import Exit, PacoreError
from pacore.interruption import interrupted_by_signals, raise_if_interrupted
from pacore.proxies import keep_loopback_direct
from pacore.text import did_you_mean, visible, visible_lines


class CommandPlace(NamedTuple):
    """Where a command is declared: its module in `pacore.cli`; and the first line of its help."""

    module: str
    help: str


COMMANDS = {
    "audit": CommandPlace("audit", "Recompute what a run has stored from its sources, and compare."),
    "budget": CommandPlace("compare", "Say which arm of a sweep to run for a stated budget."),
    "compare": CommandPlace("compare", "Compare run B with run A, problem by problem."),
    "cross": CommandPlace("mechanism", "Sample a round of two graded runs again."),
    "down": CommandPlace("server", "End what pacore up started, and nothing else."),
    "evaluate": CommandPlace("evaluate", "Grade runs, check every invariant over them, and report."),
    "explain": CommandPlace("audit", "Trace an answer back to its trajectories, messages and prompts."),
    "export": CommandPlace("exchange", "Write a run for another store, or for a trainer."),
    "flips": CommandPlace("compare", "Show which verdicts differ between two gradings of a run."),
    "gc": CommandPlace("audit", "List files of a store that nothing refers to, and delete them."),
    "grade": CommandPlace("evaluate", "Grade every trajectory of finished runs, in all rounds."),
    "import": CommandPlace("exchange", "Import trajectories made elsewhere."),
    "intervene": CommandPlace("mechanism", "Sample one round of a graded run again."),
    "mechanism": CommandPlace("mechanism", "Measure what rounds do with the messages they receive."),
    "nightly": CommandPlace(
        "files.nightly",
        "Run the jobs of a night, compare each with its accepted baseline, and keep a ledger.",
    ),
    "plan": CommandPlace("plan", "Say what a run would generate and reuse; generates nothing."),
    "problems": CommandPlace("plan", "Describe a problem set: shapes, graders, digest."),
    "query": CommandPlace("read", "Query the tables with SQL."),
    "repair": CommandPlace("audit", "Derive missing and damaged files of a run from its journal again."),
    "replay": CommandPlace("replay", "Forecast stopping rules from stored trajectories."),
    "resume": CommandPlace("run", "Finish a run that was begun, by its name."),
    "retry": CommandPlace("run", "Sample chosen trajectories of a run again, and what depends on them."),
    "run": CommandPlace("run", "Run PaCoRe on a problem set, or resume a run."),
    "server": CommandPlace("server", "Start, stop and find the local Prefect server."),
    "show": CommandPlace("read", "Show a run: its settings, its command, its results; or one problem."),
    "status": CommandPlace("read", "Show the progress of the runs of a store."),
    "sweep": CommandPlace("compare", "Compare strategies on one problem set at their cost."),
    "tables": CommandPlace("read", "List the tables and marts that can be queried."),
    "training": CommandPlace(
        "files.training",
        "Make a training set: the problems of some sources that synthesis can be learned from.",
    ),
    "up": CommandPlace("server", "Start all that runs from the Prefect UI need, or find it running."),
    "verify-export": CommandPlace("exchange", "Check an export for a trainer, its reward included."),
    "value": CommandPlace("mechanism", "Measure what each message is worth to the next round."),
}  # fmt: skip
"""Every command; that of ``audit`` is the function ``audit_command`` of its module. A module is imported
when a command of it is called, so that the others start without what it needs.
"""


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


def command_of(name: str) -> click.Command:
    """The command of that name in `COMMANDS`, imported. Raises KeyError where there is none."""
    module = import_module(f"pacore.cli.{COMMANDS[name].module}")
    raise_if_interrupted()
    command = getattr(module, f"{name.replace('-', '_')}_command")
    assert isinstance(command, click.Command)
    return command


class Commands(NamedCommands):
    """A group whose commands are `COMMANDS`, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        return command_of(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="pacore")
def app() -> None:
    """Parallel Coordinated Reasoning over problem sets: resumable, cached, auditable."""


def _in_one_line(wrong: click.ClickException) -> str:
    """What click found wrong with a command line, and what may be meant or where it is explained."""
    context = wrong.ctx if isinstance(wrong, click.UsageError) else None
    said = wrong.format_message().removesuffix(".")
    if isinstance(wrong, click.exceptions.BadOptionUsage):
        return f"{wrong.option_name}: {'needs a' if 'requires' in said else 'takes no'} value"
    if context is None:
        return said
    command, explained = context.command, f"{context.command_path} --help"
    if isinstance(wrong, click.exceptions.NoSuchOption):
        known = [name for one in command.get_params(context) for name in one.opts if name[0] == "-"]
        near = did_you_mean(wrong.option_name, known)
        return f"no option {wrong.option_name}{near}; {explained} lists them"
    if not isinstance(wrong, click.BadParameter) or wrong.param is None:
        return f"{said[:1].lower()}{said[1:]}; {explained} lists what there is"
    if isinstance(wrong.param, click.Option):
        name, usage = wrong.param.opts[0], explained
    else:
        name = wrong.param.make_metavar(context)
        usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    if isinstance(wrong, click.exceptions.MissingParameter):
        return f"{name}: is needed; {usage}"
    return f"{name}: {wanted_by(wrong.param.type) or wrong.message.removesuffix('.')}"


def _leave(codes: list[int]) -> None:
    """End this process with the code that its command has ended with, if it has.

    Python would go through all objects several times to free what is freed with the process: a
    sixth of the CPU of a short command, and a tenth of that of a run.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Python reports it, and ends with a code of its own
    for code in codes:
        os._exit(code)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line. Returns the exit code; an expected error is one line, no traceback.

    Without ``arguments`` it is that of this process, which then ends without freeing its objects: threads
    are waited for, and what is registered by ``atexit`` from now on is called, before.
    """
    codes: list[int] = []
    if arguments is None:
        # Registered first, it is called last.
        atexit.register(_leave, codes)
    codes.append(_ended(arguments))
    return codes[0]


def _ended(arguments: list[str] | None) -> int:
    """What a command line ended with, after a line on stderr where that is an expected error."""
    keep_loopback_direct(os.environ)
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_ALLOW_EPHEMERAL_MODE", "false")
    # Pydantic would look through the metadata of every installed package for plugins, at every start.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Most objects of a command are modules' and live until it ends; to collect after every 700 new ones, as
    # Python does, is a sixth of the CPU of `pacore evaluate`.
    gc.set_threshold(50_000, 20, 50)
    try:
        with interrupted_by_signals():
            code = app.main(arguments, prog_name="pacore", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show()
        return Exit.REFUSED
    except click.ClickException as wrong:
        click.echo(f"pacore: {visible(_in_one_line(wrong))}", err=True)
        return Exit.REFUSED
    except (click.Abort, KeyboardInterrupt):
        click.echo("pacore: interrupted; run the same command again to resume", err=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has gone; nothing reads the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.COMPLETE
    except PacoreError as wrong:
        click.echo(f"pacore: {visible_lines(str(wrong))}", err=True)
        return wrong.exit_code
    return code if isinstance(code, int) else Exit.COMPLETE


if __name__ == "__main__":
    sys.exit(main())

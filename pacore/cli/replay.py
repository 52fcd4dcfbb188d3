"""The command ``replay``: what stopping rules would have spent and changed, by stored trajectories."""

from __future__ import annotations

import click

from pacore.api.evaluation import replay, replay_check
from pacore.api.report import Form
from pacore.cli.options import print_report, with_new_store, with_prices, with_report
from pacore.errors import BadInput, Exit
from pacore.evaluation.replay.forecast import ReplaySettings


@click.command()
@with_new_store
@click.option(
    "--policy",
    "policies",
    metavar="RULE",
    multiple=True,
    help="Stopping rule to forecast, such as votes:0.9,batch:8: parts of votes:P, lead:P, arrivals:N, "
    "tokens:N, batch:N, growth:N, ready:SHARE and abort_late; and of a run with several rounds "
    "fewest:N and depth:P. Repeatable.  [default: several]",
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    help="Slots of a set.  [default: those of the run's first round; 64 of a file]",
)
@click.option(
    "--orders",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Random orders in which each problem's trajectories are taken.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0, max=1),
    default=0.005,
    show_default=True,
    help="Share of accuracy, or of agreement where there is no gold answer, that a policy may lose to be "
    "chosen.",
)
@click.option(
    "--check",
    metavar="RUN",
    help="Run that was made under a stopping rule: say how far the forecast of its tokens was off.",
)
@click.option(
    "--fields",
    metavar="PART=COLUMN,…",
    help="Columns of the file with names that are not known, such as tokens=LEN,gold=TARGET.",
)
@with_report
@with_prices
@click.argument("source", metavar="RUN|FILE")
def replay_command(
    source: str,
    policies: tuple[str, ...],
    store: str,
    width: int | None,
    orders: int,
    tolerance: float,
    check: str | None,
    fields: str | None,
    form: Form,
    figure: str | None,
    prices: str | None,
) -> int:
    """Forecast stopping rules from stored trajectories; generates nothing.

    The first round of a run is taken, or a file of pools (Parquet, JSONL, JSON, CSV) with a row for
    each trajectory: problem, gold, answer and tokens, and where there are several also model,
    problem_set and branch. Each policy is compared with waiting for the whole set: tokens, critical
    path, accuracy of the vote, right answers among the messages. Without gold answers, or in a run that is
    not graded, votes are compared with that of the whole pool. Rules about rounds are replayed over the
    answers of a graded run that has several: tokens, critical path, accuracy of the answers.
    """
    columns = _columns(fields)
    if check is not None:
        if policies or width is not None:
            raise BadInput("--check takes policy and width of the run that it names")
        checked = replay_check(source, check, store=store, orders=orders, columns=columns)
        print_report(checked, form, figure)
        return Exit.COMPLETE
    settings = ReplaySettings(width, orders, tolerance)
    report = replay(
        source, policies, store=store, settings=settings, prices=prices, columns=columns
    )
    print_report(report, form, figure)
    return Exit.COMPLETE


def _columns(fields: str | None) -> dict[str, str]:
    """The columns that are named. Raises BadInput."""
    found: dict[str, str] = {}
    for piece in filter(None, (fields or "").split(",")):
        part, equals, column = (one.strip() for one in piece.partition("="))
        if not (part and equals and column):
            raise BadInput(f"--fields: {piece!r} is not PART=COLUMN")
        if part in found:
            raise BadInput(f"--fields: {part} is given twice")
        found[part] = column
    return found

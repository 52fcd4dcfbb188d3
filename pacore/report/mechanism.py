"""The mechanism measures of a run as a page, and the results of interventions in one of its rounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pacore.evaluation.interventions import EditResult
from pacore.evaluation.mechanism import (
    FEWEST_EPISODES,
    FEWEST_PROBLEMS,
    Figure,
    Mechanism,
    Overlap,
    RoundMessages,
    RoundWords,
    Share,
)
from pacore.evaluation.statistics.paired import Paired
from pacore.evaluation.values.fit import FittedScorer
from pacore.evaluation.values.results import LISTED, MessageValue, MessageValues, PlannedValues
from pacore.report.rendering.plots import Interval, interval_figure
from pacore.report.rendering.sheet import (
    ABSENT,
    COUNT,
    FIGURE,
    POINTS,
    SHARE,
    TEXT,
    Facts,
    Heading,
    Note,
    Part,
    Sheet,
    Table,
    between,
    decimals,
    share,
    table,
)
from pacore.store.run import Run, headline

if TYPE_CHECKING:
    from pacore.report.rendering.plots import Figure as PlottedFigure

NOT_ENOUGH = "not enough"

STEPS = {
    "sample": "attempts the problem",
    "condense": "condenses each message",
    "distill": "distils all messages",
}

MEASURES = {
    "emergent_rate": "right, no message right",
    "base_rate": "right, some message right",
    "rescued": "right, only a minority right",
    "tied_correct": "right, a tie of right and wrong",
    "lost": "wrong, the majority right",
    "lost_unanswered": "  no answer, the majority right",
    "copied": "answer is a message's",
    "copied_majority": "answer is the majority's",
    "copied_first": "answer is the first message's",
    "novel": "answer is new",
    "copied_accuracy": "right, answer is a message's",
    "novel_accuracy": "right, answer is new",
}
"""Measures of episodes by the titles of their lines."""

OVERLAP_TITLES = {
    "seen": "five-word runs in messages seen",
    "compared_seen": "  where it has others unseen",
    "unseen": "  in the others unseen",
    "among": "  of messages, in each other",
}


QUARTERS = {
    0: "none",
    1: "to 25 %",
    2: "to 50 %",
    3: "to 75 %",
    4: "below all",
    5: "all",
}
"""Shares of right messages an episode saw, by the part of the measure `correct`."""


def mechanism_sheet(run: Run, found: Mechanism) -> Sheet:
    """The mechanism measures of a run, round by round."""
    sections: list[Sequence[Part]] = []
    if found.messages:
        sections.append([Heading("messages passed to the next round"), _messages(found.messages)])
    rounds = {one.round for one in found.shares} | {one.round for one in found.overlaps}
    for round_ in sorted(rounds):
        does = STEPS[run.plan.step(round_).kind]
        heading = Heading(f"round {round_} {does}, seeing messages of round {round_ - 1}")
        first, *others = _round(round_, found.shares_of(round_), found.overlaps_of(round_))
        sections += [[heading, first], *([other] for other in others)]
    if found.words:
        heading = Heading("words that speak of references; round 1 saw none")
        sections.append([heading, _words(found.words)])
    notes = [
        Note(
            "Intervals are 95 % ranges for new problems of this kind. "
            f"{NOT_ENOUGH.capitalize()}: fewer than {FEWEST_EPISODES} cases, or than {FEWEST_PROBLEMS} "
            "problems."
        )
    ]
    if not found.is_graded:
        notes.append(
            Note(f"Only answers are graded; pacore grade {found.run_id} grades every round.")
        )
    return Sheet(headline(run), [*sections, notes])


def mechanism_figure(run: Run, found: Mechanism) -> PlottedFigure:
    """The measures of every round that synthesises, with their intervals, those with enough cases."""
    rows = [
        Interval(
            f"round {one.round}: {MEASURES[one.measure].strip()}", one.value, one.low, one.high
        )
        for one in found.shares
        if one.measure in MEASURES and one.part == 0 and one.is_enough
    ]
    title = f"What the rounds of run {run.run_id} do with the messages they see"
    return interval_figure(
        rows, title, "share of the cases, % (bars: 95 %, new problems of this kind)"
    )


Known = Figure | Share | Overlap


def _value(figure: Known | None) -> str:
    """The share of a figure, a dash where there is none."""
    if figure is None:
        return ABSENT
    return share(figure.value) if figure.is_enough else NOT_ENOUGH


def _interval(figure: Known | None) -> str:
    if figure is None or not figure.is_enough:
        return ""
    return between(figure.low, figure.high)


def _counts(figure: Known | None) -> tuple[int, int]:
    """Cases and problems of a figure."""
    return (0, 0) if figure is None else (figure.cases, figure.problems)


def _messages(rows: Sequence[RoundMessages]) -> Table:
    return table(
        rows,
        ("round", TEXT, lambda row: row.round),
        ("messages", COUNT, lambda row: row.messages),
        ("accuracy", FIGURE, lambda row: _value(row.accuracy)),
        ("accuracy, 95 %", FIGURE, lambda row: _interval(row.accuracy)),
        ("judged", COUNT, lambda row: _counts(row.accuracy)[0]),
        ("problems", COUNT, lambda row: _counts(row.accuracy)[1]),
        ("no answer", SHARE, lambda row: row.no_answer_rate),
        ("timeout", SHARE, lambda row: row.timeout_rate),
        ("crash", SHARE, lambda row: row.crash_rate),
    )


def _round(
    round_: int,
    shares: Mapping[tuple[str, int], Share],
    overlaps: Mapping[str, Overlap],
) -> Iterator[Table]:
    rows: list[tuple[str, Known | None]] = []
    if shares:
        rows += [(title, shares.get((name, 0))) for name, title in MEASURES.items()]
    rows += [(title, overlaps.get(name)) for name, title in OVERLAP_TITLES.items()]
    yield _figures(rows, "", "share", "share, 95 %")
    outcomes = [
        (title, shares["correct", part])
        for part, title in QUARTERS.items()
        if ("correct", part) in shares
    ]
    if outcomes:
        caption = f"outcome of round {round_} by the share of right messages it saw"
        yield _figures(outcomes, "messages right", "outcome right", "outcome, 95 %", caption)
    if references := sorted(part for name, part in shares if name == "position_copied"):
        yield _positions(round_, shares, references)


def _figures(
    rows: Sequence[tuple[str, Known | None]],
    first: str,
    value: str,
    interval: str,
    caption: str = "",
) -> Table:
    return table(
        rows,
        (first, TEXT, lambda row: row[0]),
        (value, FIGURE, lambda row: _value(row[1])),
        (interval, FIGURE, lambda row: _interval(row[1])),
        ("episodes", COUNT, lambda row: _counts(row[1])[0]),
        ("problems", COUNT, lambda row: _counts(row[1])[1]),
        caption=caption,
    )


def _positions(
    round_: int, shares: Mapping[tuple[str, int], Share], references: Sequence[int]
) -> Table:
    def copied(reference: int) -> Share:
        return shares["position_copied", reference]

    return table(
        references,
        ("reference", TEXT, lambda reference: reference),
        ("copied", FIGURE, lambda reference: _value(copied(reference))),
        ("copied, 95 %", FIGURE, lambda reference: _interval(copied(reference))),
        ("episodes", COUNT, lambda reference: copied(reference).cases),
        ("problems", COUNT, lambda reference: copied(reference).problems),
        ("right", FIGURE, lambda reference: _value(shares["position_accuracy", reference])),
        (
            "right if outcome is",
            FIGURE,
            lambda reference: _value(shares.get(("position_right_when_correct", reference))),
        ),
        caption=f"how often round {round_} copies each reference",
    )


def _words(rows: Sequence[RoundWords]) -> Table:
    return table(
        rows,
        ("round", TEXT, lambda row: row.round),
        ("trajectories", COUNT, lambda row: row.trajectories),
        ("words each", decimals(2), lambda row: row.words_mean),
        ("with any", FIGURE, lambda row: _value(row.any_rate)),
        ("with any, 95 %", FIGURE, lambda row: _interval(row.any_rate)),
        ("a thousand characters", decimals(3), lambda row: row.per_thousand_characters),
        ("Reference", decimals(2), lambda row: row.capitalised),
    )


def interventions_sheet(run_id: str, round_: int, found: Sequence[EditResult]) -> Sheet:
    """The results of the edits of one round, each compared with the control."""
    edits = table(
        found,
        ("edit", TEXT, lambda one: one.edit),
        ("episodes", COUNT, lambda one: one.episodes),
        ("skipped", COUNT, lambda one: one.skipped),
        ("accuracy", SHARE, lambda one: one.accuracy),
        ("control", SHARE, lambda one: one.against and one.against.first),
        ("edited", SHARE, lambda one: one.against and one.against.second),
        ("difference", POINTS, lambda one: one.against and one.against.difference),
        ("difference, 95 %", FIGURE, lambda one: _difference_interval(one.against)),
        ("problems", COUNT, lambda one: one.against and one.against.problems),
        caption="effect of each edit",
    )
    note = Note(
        "Accuracy is of all episodes. Control (same, the sets as they were), edited and their "
        "difference are of the sets that both have, as means over problems."
    )
    title = f"run {run_id} · round {round_} again, on edited message sets"
    return Sheet(title, [[edits], [note]])


def _difference_interval(against: Paired | None) -> str:
    return ABSENT if against is None else _signed(against.low, against.high)


def _signed(low: float | None, high: float | None) -> str:
    return between(low, high, lambda bound: f"{100 * (bound or 0.0):+.1f}")


TREATED = {
    "drop": "shown, against left out",
    "swap": "shown, against one of another replicate",
    "duplicate": "shown twice, against once",
}
"""What the value of a message compares, by treatment."""


def planned_values_sheet(planned: PlannedValues) -> Sheet:
    """What it would take to find the values of messages."""
    tried = planned.tried
    tokens = planned.expected_tokens
    facts = [
        ("message sets", _tried(tried.message_sets, tried.skipped)),
        ("messages", f"{tried.messages:,}"),
        (
            "trajectories",
            f"{planned.trajectories:,}, {_each(planned.trajectories, tried.messages)}",
        ),
        ("to generate", f"{planned.to_generate:,}"),
        ("expected", ABSENT if tokens is None else f"{tokens:,} tokens"),
    ]
    return Sheet(_values_title(planned), [[Facts(facts)]])


def values_sheet(found: MessageValues) -> Sheet:
    """The values of messages: their means, and the messages of most and of least value."""
    tried, tokens = found.tried, found.tokens
    new = tokens.trajectories - tokens.reused
    generated = "" if not new else f" of {tokens.generated_tokens or 0:,} tokens"
    facts = [
        ("message sets", _tried(tried.message_sets, tried.skipped)),
        ("messages", f"{tried.messages:,}; {len(found.messages):,} have a value"),
        ("trajectories", f"{tokens.trajectories:,}, {_each(tokens.trajectories, tried.messages)}"),
        ("generated", f"{new:,}{generated}; {tokens.reused:,} were stored"),
        ("rows", f"mart_message_values, run_id = '{found.run_id}'"),
    ]
    means = table(
        found.means,
        ("messages", TEXT, lambda one: one.kind),
        ("value", POINTS, lambda one: one.value),
        ("value, 95 %", FIGURE, lambda one: _signed(one.low, one.high)),
        ("tokens each", decimals(1), lambda one: one.cost_tokens),
        ("number", COUNT, lambda one: one.messages),
        ("problems", COUNT, lambda one: one.problems),
        caption="mean value of messages",
    )
    ranked = sorted(found.messages, key=lambda one: -one.value)
    listed = ranked if len(ranked) <= 2 * LISTED else [*ranked[:LISTED], *ranked[-LISTED:]]
    note = Note(
        f"Value: how much a message raises the share of right trajectories ({TREATED[found.treatment]}). "
        "Means are over problems of their means; the most and least valuable of many are so by chance, too."
    )
    return Sheet(
        _values_title(found), [[Facts(facts)], [means], [Heading("ends"), _listed(listed)], [note]]
    )


def scorer_sheet(found: FittedScorer) -> Sheet:
    """The weights of a scorer that was fitted to the values of messages."""
    weights = table(
        list(found.weights.items()),
        ("feature", TEXT, lambda one: one[0]),
        ("value", POINTS, lambda one: one[1].weight),
        ("value, 95 %", FIGURE, lambda one: _signed(one[1].low, one[1].high)),
        caption="what goes along with the value of a message, within its set",
    )
    note = Note(
        f"Fitted to {found.messages:,} messages of {found.problems:,} problems: {found.scorer}"
    )
    return Sheet("scorer for --select trained", [[weights], [note]])


def _listed(messages: Sequence[MessageValue]) -> Table:
    return table(
        messages,
        ("problem", TEXT, lambda one: one.problem_id),
        ("replicate", FIGURE, lambda one: one.replicate),
        ("position", FIGURE, lambda one: one.position),
        ("right", TEXT, lambda one: _YES_NO[one.is_right]),
        ("value", POINTS, lambda one: one.value),
        ("value, 95 %", FIGURE, lambda one: _signed(one.low, one.high)),
        ("tokens", decimals(0), lambda one: one.cost_tokens),
        ("trajectory", TEXT, lambda one: one.trajectory_id[:12]),
        caption="messages of most and of least value",
    )


_YES_NO = {True: "yes", False: "no", None: ABSENT}


def _values_title(of: PlannedValues | MessageValues) -> str:
    return f"run {of.source_run_id} · value of the messages of round {of.round} · {TREATED[of.treatment]}"


def _tried(message_sets: int, skipped: int) -> str:
    return f"{message_sets:,}" + (f"; {skipped:,} cannot be tried" if skipped else "")


def _each(trajectories: int, messages: int) -> str:
    return f"{trajectories / messages:.2f} a message"

"""A check of a forecast as a page: what a run saved, beside what was forecast."""

from __future__ import annotations

from pacore.evaluation.replay.check import ForecastCheck, SavedTokens
from pacore.report.rendering.sheet import Facts, Note, Part, Sheet, between, points, share
from pacore.report.replay.cells import SIGNED


def check_sheet(found: ForecastCheck, pools: str) -> Sheet:
    """What a run saved beside what was forecast."""
    facts = [("rule", found.policy), *_saved(found.first, "whole sets, first round", pools)]
    if found.later is not None:
        facts += [
            (f"{name}, later", text) for name, text in _saved(found.later, "later rounds", pools)
        ]
    facts.append(("over", f"{found.problems:,} problems, {found.sets:,} message sets"))
    notes: list[Part] = [
        Note(
            f"{found.reused:,} of {found.trajectories:,} trajectories were in the store already: "
            "they arrive at once, with nothing in flight to be aborted, which no forecast is for; "
            "make the run under the rule first, and the whole pool from it"
        )
    ]
    sections: list[list[Part]] = [[Facts(facts)], *([notes] if found.reused else [])]
    return Sheet(f"run {found.run_id} beside its forecast", sections)


def _saved(found: SavedTokens, of: str, pools: str) -> list[tuple[str, str]]:
    return [
        ("saved", f"{share(found.saved)} of the tokens of the {of}"),
        ("forecast", f"{share(found.forecast)} by {pools}"),
        ("off by", f"{points(found.off)} ({between(found.low, found.high, SIGNED.write)}, 95 %)"),
    ]

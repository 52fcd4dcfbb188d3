"""What there is to ask: tables, marts and the views they are made of, and which of them a query needs."""

from __future__ import annotations

import re
from functools import cache

from pacore.warehouse.connection import sql
from pacore.warehouse.tables import STAGED

HISTORY = {"trajectories": "all_trajectories", "verdicts": "all_verdicts"}
"""Tables in which rows replace others, by what they are called with all that was ever in them. The plain
name has one row for each trajectory's slot, and one verdict on it."""

INNER = ("own_scores", "student_t")
"""Views that current tables and marts are made of."""

CURRENT = (
    "trajectories",
    "message_sets",
    "outcomes",
    "verdicts",
    "scores",
    "graded_runs",
    "opinions",
    "judgings",
    "deciding",
    "pools",
    "pool_sizes",
    "majorities",
    "judge_choices",
    "message_scores",
    "seen_messages",
    "seen_answers",
    "episodes",
    "shared_shingles",
    "problem_overlaps",
    "reference_words",
    "intervened",
)
"""Tables under their plain names where more than what is current is stored, and what several marts are
made of; later ones may read earlier ones."""

MARTS = (
    "accuracy",
    "ttc",
    "failures",
    "rounds",
    "finish_words",
    "quorums",
    "pass_at_k",
    "majority",
    "oracle_gap",
    "costs",
    "frontier",
    "message_accuracy",
    "emergence",
    "outcome_by_message_accuracy",
    "rescues",
    "copying",
    "positions",
    "overlap",
    "words",
    "judges",
    "best_of_n",
    "interventions",
)

RELATIONS: dict[str, str] = {
    **{name: f"staging/{name}" for name in INNER},
    **{HISTORY.get(name, name): f"staging/stg_{name}" for name in STAGED if name != "scores"},
    **{name: f"staging/{name}" for name in CURRENT},
    **{f"mart_{name}": f"marts/{name}" for name in MARTS},
}
"""The file of each relation by its name, the relations it reads before it."""

_COMMENT = re.compile(r"--[^\n]*")


_WORD = re.compile(r"\w+")


_FILES = re.compile(r"getvariable\('(\w+)_files'\)")


_CATALOG = re.compile(
    r"information_schema|duckdb_|pg_catalog|pg_|sqlite_master|pragma_|\b(?:show|describe|summarize)\b",
    re.IGNORECASE,
)


def needed(text: str) -> list[str]:
    """The relations that SQL may read, each after those it is made of.

    Every word counts that is the name of one, whatever it stands for: one too many costs its
    making, and is nothing else.
    """
    if _CATALOG.search(text):
        return list(RELATIONS)
    wanted = {word.lower() for word in _WORD.findall(text)}
    for name in reversed(RELATIONS):
        if name in wanted:
            wanted |= _read_by(name)
    return [name for name in RELATIONS if name in wanted]


def stored(text: str) -> set[str]:
    """The stored tables whose files SQL may read."""
    return {table for name in needed(text) for table in _FILES.findall(sql(RELATIONS[name]))}


@cache
def _read_by(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_COMMENT.sub("", sql(RELATIONS[name]))))

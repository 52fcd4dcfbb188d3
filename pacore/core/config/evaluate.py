"""The configuration of an evaluation: which runs, by which grader, at what prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import field_validator

from pacore.core.config.fields import Declared, Settings, setting
from pacore.core.config.form import Group
from pacore.core.grading.choose import canonical_grader
from pacore.errors import BadInput


def checked_grader(grader: str) -> str:
    """A grader as it is spelt. Raises ValueError for what is none."""
    try:
        return canonical_grader(grader)
    except BadInput as fault:
        raise ValueError(f"{fault}, or auto") from None


class EvaluateConfig(Settings):
    """All settings of `pacore evaluate` and `pacore grade`."""

    GROUPS: ClassVar[Mapping[Group, str]] = {
        Group.WHAT: "Which runs.",
        Group.HOW: "Who grades them. Another grader makes a grading of its own.",
        Group.WHERE: "Where they are, and what their tokens cost.",
        Group.LIMITS: "How much at once, and how long.",
    }

    runs: tuple[str, ...] = setting(
        Declared.OPERATIONAL, ..., "Runs to evaluate, each at its end.", Group.WHAT, min_length=1
    )
    store: str = setting(
        Declared.OPERATIONAL,
        "./store",
        "Folder of the store, or s3://bucket/prefix.",
        Group.WHERE,
        min_length=1,
    )
    grader: str | None = setting(
        Declared.GRADING,
        None,
        "Grader of every answer, or auto for the one each problem calls for; without it the one the "
        "run was last graded by, which is auto where there is none.",
        min_length=1,
    )
    grading_timeout_seconds: float = setting(
        Declared.OPERATIONAL,
        5.0,
        "Longest grading of one answer, in seconds.",
        Group.LIMITS,
        gt=0.0,
    )
    workers: int = setting(
        Declared.OPERATIONAL, 2, "Shards that are graded side by side.", Group.LIMITS, ge=1, le=64
    )
    prices: str | None = setting(
        Declared.OPERATIONAL,
        None,
        "Price table: CSV of model and prices per million tokens.",
        Group.WHERE,
        min_length=1,
    )

    @field_validator("runs")
    @classmethod
    def _names_each_once(cls, runs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(runs))

    @field_validator("grader")
    @classmethod
    def _is_grader(cls, grader: str | None) -> str | None:
        return None if grader is None else checked_grader(grader)

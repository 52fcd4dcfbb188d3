"""The configuration of values: which messages are tried, how, and by what settings of their run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import JsonValue

from pacore.core.config.fields import Declared, Settings, setting
from pacore.core.config.form import Group

Treatment = Literal["drop", "swap", "duplicate"]


class ValuesConfig(Settings):
    """All settings of `pacore value`."""

    GROUPS: ClassVar[Mapping[Group, str]] = {
        Group.WHAT: "Which messages.",
        Group.HOW: "How each is tried.",
        Group.WHERE: "Where they are.",
        Group.LIMITS: "What of the run that tries them is not as in the run they are from.",
    }

    run_id: str = setting(
        Declared.OPERATIONAL, ..., "Graded run whose messages are tried.", Group.WHAT, min_length=1
    )
    round: int = setting(
        Declared.OPERATIONAL, ..., "Round that sees the messages.", Group.WHAT, ge=2
    )
    treatment: Treatment = setting(
        Declared.GRADING,
        "drop",
        "What a message is compared with: being left out (drop), a message of another replicate in its "
        "place (swap), being there once where it is there twice (duplicate).",
    )
    samples: int = setting(Declared.GRADING, 1, "Trajectories of each tried set.", ge=1)
    store: str = setting(
        Declared.OPERATIONAL,
        "./store",
        "Folder of the store, or s3://bucket/prefix.",
        Group.WHERE,
        min_length=1,
    )
    changes: dict[str, JsonValue] = setting(
        Declared.OPERATIONAL,
        {},
        "Settings of that run, such as endpoints, concurrency or max_tokens_total.",
        Group.LIMITS,
        form={"type": "object", "additionalProperties": True},
    )

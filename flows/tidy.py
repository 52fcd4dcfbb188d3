"""The flow `tidy`: put right what dead processes and lost machines left in Prefect's records.

It touches no store, and nothing that lives. What is put right is the same at two looks, some minutes
apart; where the first finds nothing there is no second.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from tasks.artifacts import tidy_artifact
from tasks.dead import SILENT_SECONDS, look, put_right, remedies
from tasks.settings import FLOW_SETTINGS

Seconds = Annotated[
    float,
    Field(ge=0, le=86_400, title="Silent seconds", description="Time between the two looks."),
]


@flow(name="tidy", **FLOW_SETTINGS)
def tidy(silent_seconds: Seconds = SILENT_SECONDS) -> State[Any]:
    """Set flow runs that are dead and task runs that they left to Crashed, and free slots that stay taken.

    Ends Completed, and says in its artifact what it did.
    """
    before = look()
    if not before:
        return Completed(message="nothing to put right", data=[])
    time.sleep(silent_seconds)
    changes = put_right(remedies(before, look()))
    counts = Counter(change.what for change in changes)
    found = ", ".join(f"{count} {what}" for what, count in counts.items())
    summary = f"put right: {found}" if changes else "nothing to put right"
    tidy_artifact(changes, summary)
    return Completed(message=summary, data=changes)

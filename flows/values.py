"""The flow `values`: what each message is worth that a round of a graded run saw.

The sets in which messages are tried are an ordinary run, made by the flow `infer`, within this one.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.infer import infer
from pacore.core.config.values import ValuesConfig
from pacore.core.validation import validated
from pacore.errors import BadInput, PacoreError
from pacore.evaluation.values.work import put_tried, values_of
from pacore.report.mechanism import values_sheet
from pacore.store.backends.opening import open_store
from tasks.artifacts import report_artifact
from tasks.settings import FLOW_SETTINGS
from tasks.waiting import DONE, as_outermost, ended_by, stopped_by


def _run_name() -> str:
    try:
        return f"values-{validated(ValuesConfig, flow_run.parameters['config']).run_id}"
    except BadInput:
        return "values"


@flow(name="values", flow_run_name=_run_name, **FLOW_SETTINGS)
def values(config: ValuesConfig) -> State[Any]:
    """Find what each message is worth that a round of a graded run saw.

    Goes on where it was stopped, and generates nothing twice. Ends Completed; as Refused where the settings
    cannot be; or as the run ended that could not go on.
    """
    try:
        with as_outermost():
            return _values(validated(ValuesConfig, config))
    except PacoreError as fault:
        return ended_by(fault)


def _values(config: ValuesConfig) -> State[Any]:
    store = open_store(config.store)
    tried = put_tried(store, config)
    state: State[Any] = infer(tried.config, return_state=True)
    if state.name not in DONE:
        return stopped_by(state)
    found = values_of(store, config, tried)
    report_artifact(found.run_id, values_sheet(found))
    message = f"run {found.run_id}: {len(found.messages):,} messages have a value"
    return Completed(message=message, data=found)

"""Messages about nights that need someone, by an automation of the Prefect server that calls a webhook.

The server sends them, so a night is reported whose process was killed, or that ended while no terminal was
open. The webhook's address is in a block, where the server keeps it encrypted.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import SecretStr

from pacore.errors import BadInput

NAME = "pacore: a night that needs someone"

BLOCK = "pacore-nights"

STATES = ("NO-GO", "Incomplete", "Failed", "Crashed", "Refused", "TimedOut")
"""Names of the states of a night's flow run that somebody has to look at."""

PAYLOAD = """{% set state = flow_run.state %}{
  "text": {{ ["pacore", flow_run.name, state.name, state.message] | join(" · ") | tojson }},
  "flow_run": {{ flow_run.name | tojson }},
  "state": {{ state.name | tojson }},
  "message": {{ state.message | tojson }},
  "look": "pacore nightly show"
}"""
"""The message: ``text`` is what chat servers show; the others are for programs."""


def set_webhook(api: str, webhook_url: str) -> bool:
    """Have the server of ``api`` send a message to a webhook about each night that needs someone.

    Returns whether the automation had to be made; an address replaces the one before. Raises BadInput for
    an address that is none.
    """
    parts = urlsplit(webhook_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput("--notify: is no URL such as https://hooks.example.org/services/…")
    with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
        block = Webhook(url=SecretStr(webhook_url)).save(BLOCK, overwrite=True)
        assert isinstance(block, UUID), "outside an event loop saving waits"
        is_there = bool(client.read_automations_by_name(NAME))
        if not is_there:
            _automation(block).create()
    return not is_there


def _automation(block: UUID) -> Automation:
    return Automation(
        name=NAME,
        description="Made by `pacore up --notify`.",
        trigger=EventTrigger(
            expect={f"prefect.flow-run.{state}" for state in STATES},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "nightly"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[CallWebhook(block_document_id=block, payload=PAYLOAD)],
    )

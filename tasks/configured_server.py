"""The Prefect server that a variable or the active profile names: whether one answers there, and if
not, what does. Everything is asked through Prefect's own client, so that certificates, keys and
proxies are what they will be during a flow.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.client.base import ServerType
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import SettingsContext
from prefect.exceptions import PrefectException
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    get_current_settings,
    temporary_settings,
)

from pacore.errors import ServerUnavailable
from pacore.text import excerpt, shown, visible

PROBE_SECONDS = 15.0
"""Longest wait for a connection, and then for an answer, before a server counts as not answering."""

BUSY = (408, 429, 502, 503)


_ABSENT = (404, 405)


NO_API = "what answers there is no Prefect API"


@dataclass(frozen=True, slots=True)
class ConfiguredServer:
    """A Prefect API's address, and the name of the setting that it comes from."""

    url: str
    source: str


def configured_server() -> ConfiguredServer | None:
    """The server that Prefect's settings name; None where they name none."""
    url = PREFECT_API_URL.value()
    if not url:
        return None
    return ConfiguredServer(str(url), _source(str(url)))


def _source(url: str) -> str:
    if os.environ.get("PREFECT_API_URL") == url:
        return "PREFECT_API_URL"
    context = SettingsContext.get()
    if context is not None and PREFECT_API_URL in context.profile.settings:
        file = get_current_settings().profiles_path
        return f"PREFECT_API_URL of the Prefect profile {context.profile.name!r} in {file}"
    return "PREFECT_API_URL in .env, prefect.toml or pyproject.toml"


@contextmanager
def answering(server: ConfiguredServer) -> Iterator[None]:
    """Hold that a Prefect server answers, now and for as long as the context lasts.

    Raises ServerUnavailable, one line that names the setting and what is found at the address:
    before anything else, or in place of what Prefect raises for a server that is gone later.
    """
    if (found := fault_of(server.url)) is not None:
        raise ServerUnavailable(
            f"{server.source} = {visible(shown(server.url))}: {found}; correct it, or remove it, and "
            "pacore starts a local server"
        )
    with still_answering(server.url):
        yield


@contextmanager
def still_answering(url: str) -> Iterator[None]:
    """Raise ServerUnavailable in place of what Prefect raises once the server at ``url`` is gone."""
    try:
        yield
    except (httpx.HTTPError, PrefectException, RuntimeError) as fault:
        if (found := fault_of(url)) is None:
            raise
        raise ServerUnavailable(
            f"the Prefect server at {visible(shown(url))} was there and is gone: {found}; what was "
            "finished is in the store, and the same command resumes"
        ) from fault


def fault_of(url: str) -> str | None:
    """What is wrong with a Prefect API's address, in a few words; None where a server answers.

    One that says it is busy has `PROBE_SECONDS` to get over it.
    """
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            with (
                temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: 0}),
                _client() as client,
            ):
                return _fault_of_answer(client)
        except httpx.HTTPStatusError as refused:
            if refused.response.status_code not in BUSY or time.monotonic() > deadline:
                return _status(refused.response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
            return _transport_fault(url, fault)
        time.sleep(1.0)


def _client() -> SyncPrefectClient:
    """Prefect's client, but that an error's status is raised at once and not waited over."""

    def refuse(response: httpx.Response) -> None:
        if response.is_error:
            raise httpx.HTTPStatusError("", request=response.request, response=response)

    settings = {"timeout": PROBE_SECONDS, "event_hooks": {"response": [refuse]}}
    return get_client(httpx_settings=settings, sync_client=True)


def _fault_of_answer(client: SyncPrefectClient) -> str | None:
    if client.server_type is ServerType.CLOUD:
        client.read_flows(limit=1)
        return None
    if _said(client, "/health") is not True:
        is_below = _said(client, "/api/health") is True
        below = f"{client.api_url}".rstrip("/") + "/api"
        return f"{NO_API}; {visible(shown(below))} is" if is_below else NO_API
    version = _said(client, "/admin/version")
    major = version.partition(".")[0] if isinstance(version, str) else ""
    if not major.isdecimal():
        return NO_API
    own = client.client_version()
    if major != own.partition(".")[0]:
        return f"it is Prefect {version}, which this Prefect {own} cannot be a client of"
    return None


def _said(client: SyncPrefectClient, path: str) -> Any:
    """What an address answers, from JSON; None where there is no such page, or it is no JSON."""
    try:
        return client.request("GET", path).json()  # type: ignore[arg-type]  # any path will do
    except httpx.HTTPStatusError as refused:
        if refused.response.status_code in _ABSENT:
            return None
        raise
    except ValueError:
        return None


def _status(response: httpx.Response) -> str:
    said = f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return f"it answers {said}; PREFECT_API_KEY or PREFECT_API_AUTH_STRING is missing or wrong"
    return f"it answers {said} when asked for its health"


def _transport_fault(url: str, fault: Exception) -> str:
    if isinstance(fault, httpx.TimeoutException):
        return f"nothing answers within {PROBE_SECONDS:g} s"
    if isinstance(fault, httpx.UnsupportedProtocol | httpx.InvalidURL | httpx.LocalProtocolError):
        return "it is no address of the form http://HOST:PORT/api"
    own = re.sub(r"^\[Errno -?\d+\] (.)", lambda found: found[1].lower(), str(fault))
    own = own or type(fault).__name__
    said = visible(excerpt(own, 200))
    if isinstance(fault, httpx.ConnectError):
        return f"no connection: {said}"
    if isinstance(fault, httpx.TransportError):
        hint = "; perhaps it speaks https://" if url.startswith("http://") else ""
        return f"what answers there does not speak HTTP: {said}{hint}"
    return f"its answer is of no use: {said}"

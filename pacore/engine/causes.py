"""Finds the cause of an endpoint's refusals and what to change, from its error and its models."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from urllib.parse import urlsplit

from pacore.core.engine import Cause, Refusal
from pacore.engine.chat.responses import (
    NO_SUCH_ROUTE,
    Response,
    not_served,
    read_cards,
    redirected,
    refused_key,
)
from pacore.engine.chat.wire_format import OTHER_NAMES, is_about_name, named_field
from pacore.engine.faults import Origin

Get = Callable[[str], Awaitable[Response | None]]
"""GET a URL; None where no response came."""

BASES = ("/v1", "", "/api/v1", "/openai/v1", "/v1beta/openai", "/api/v3", "/compatible-mode/v1")
"""Paths under which servers and gateways have the OpenAI-compatible interface."""

_NO_MODEL = re.compile(
    r"\bmodels?\b[^.]{0,80}\b(not (loaded|found|exist|available|ready|running|a valid)|"
    r"(does not|doesn't|do not) exist|unknown|invalid|unavailable|no access)|"
    r"\b(no|not|unknown|invalid|unsupported|load|pull|find|incorrect|valid)\b[^.]{0,20}\bmodels?\b",
    re.IGNORECASE,
)

_NO_TEMPLATE = re.compile(r"chat[ _]template", re.IGNORECASE)

_NO_CREDIT = re.compile(r"quota|billing|credit|balance|payment|subscription", re.IGNORECASE)


async def find_base_url(get: Get, url: str) -> str | None:
    """The first base URL derived from ``url`` that serves a list of models; None without one."""
    for base in _bases(url):
        response = await get(f"{base}/models")
        if response is not None and read_cards(Origin(base), response) is not None:
            return base
    return None


def _bases(url: str) -> Iterator[str]:
    """Base URLs to try: `BASES` below the given path, below each of its prefixes, at the root."""
    parts = urlsplit(url)
    segments = [segment for segment in parts.path.split("/") if segment]
    tried = {url}
    for kept in range(len(segments), -1, -1):
        prefix = "".join(f"/{segment}" for segment in segments[:kept])
        for base in BASES:
            found = f"{parts.scheme}://{parts.netloc}{prefix}{base}"
            if found not in tried:
                tried.add(found)
                yield found


def may_be_wrong_base(response: Response) -> bool:
    """Whether the response to a request for models suggests a wrong base URL: no such route, or a
    body that is no list of models.
    """
    is_list = read_cards(Origin(""), response) is not None
    return response.status in NO_SUCH_ROUTE or (response.status == 200 and not is_list)


def wrong_base(url: str, right: str) -> str:
    """The error message for a base URL without the interface, with the flag that corrects it."""
    return f"{url} has no OpenAI-compatible interface; it is at {right}: use --endpoint {right}"


async def find_cause(
    origin: Origin, get: Get, refusal: Refusal, body: Mapping[str, object], model: str
) -> Cause:
    """The cause of a refusal of ``body``, a request for ``model``; uncertain where none is found."""
    error = origin.detail(str(refusal.status), refusal.message)
    found = _in_account(origin, refusal, error) or _in_fields(refusal, body, error)
    return found or await _in_server(origin, get, refusal, model)


def _in_account(origin: Origin, refusal: Refusal, error: str) -> Cause | None:
    status = refusal.status
    if 300 <= status < 400:
        response = Response(status, b"", location=refusal.message)
        return Cause(redirected(origin, response), is_certain=True)
    if status in (401, 403):
        words = origin.cleaned(refusal.message)
        line = refused_key(origin, status) + (f" ({words})" if words else "")
        # With a key, 403 may also come from moderation of the prompt.
        return Cause(line, is_certain=status == 401 or origin.secret is None)
    if status == 402 or (status == 429 and _NO_CREDIT.search(refusal.message)):
        return Cause(f"{error}; the account of this key has no credit", is_certain=True)
    return None


def _in_fields(refusal: Refusal, body: Mapping[str, object], error: str) -> Cause | None:
    field = named_field(refusal, body)
    if field is not None and (is_about_name(refusal) or refusal.parameter or field != "stop"):
        return Cause(f"{error}; {_advice(field, body)}", is_certain=True)
    if _NO_TEMPLATE.search(refusal.message):
        how = (
            "start the server with one (vLLM: --chat-template), or serve an instruction-tuned model"
        )
        return Cause(f"{error}; the served model has no chat template: {how}", is_certain=True)
    return None


async def _in_server(origin: Origin, get: Get, refusal: Refusal, model: str) -> Cause:
    url, has_no_route = origin.endpoint, refusal.status in NO_SUCH_ROUTE
    error = origin.detail(str(refusal.status), refusal.message)
    is_about_model = _NO_MODEL.search(refusal.message) is not None
    if not (has_no_route or is_about_model):
        return Cause(error)
    response = await get(f"{url}/models")
    cards = None if response is None else read_cards(origin, response)
    if cards is not None and model not in cards:
        what = not_served(origin, model, cards)
    elif cards is not None:
        what = f"it lists the model {model!r} and takes no chat completions with it: is it loaded, and "
        what += "is it a chat model?"
    elif is_about_model:
        what = f"the model {model!r} is not loaded there: load it, or name another with --model"
    elif (right := await find_base_url(get, url)) is not None:
        what = wrong_base(url, right)
    else:
        what = f"nothing takes chat completions at {url}/chat/completions: check --endpoint, which "
        what += "mostly ends in /v1"
    return Cause(f"{error}; {what}", is_certain=True)


def _advice(field: str, body: Mapping[str, object]) -> str:
    """The flag with which a field is left out, or sent with another value."""
    ours = {theirs: ours for ours, theirs in OTHER_NAMES.items()}.get(field, field)
    flag = "--chat-template-options" if ours == "chat_template_kwargs" else f"--{ours}"
    flag = flag.replace("_", "-")
    if ours == "seed" or (ours in ("temperature", "top_p") and body.get(field) == 1.0):
        return f"to leave it out, use --omit {ours} (which makes other trajectories)"
    if ours in ("temperature", "top_p"):
        return f"use {flag} 1 or another value that it accepts, or leave it out with --omit {ours}"
    return f"use {flag} with another value, or leave it out"

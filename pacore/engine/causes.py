"""Why an endpoint refuses every request, and what to change: found by asking it what it has."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
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
from pacore.engine.chat.spelling import SPELLINGS, is_about_name, named_field
from pacore.engine.faults import Origin

Ask = Callable[[str], Awaitable[Response | None]]
"""GET a URL; None where no answer came."""

BASES = ("/v1", "", "/api/v1", "/openai/v1", "/v1beta/openai", "/api/v3", "/compatible-mode/v1")
"""Where servers and gateways keep the interface, below their own address."""

_NO_MODEL = re.compile(
    r"\bmodels?\b[^.]{0,80}\b(not (loaded|found|exist|available|ready|running|a valid)|"
    r"(does not|doesn't|do not) exist|unknown|invalid|unavailable|no access)|"
    r"\b(no|not|unknown|invalid|unsupported|load|pull|find|incorrect|valid)\b[^.]{0,20}\bmodels?\b",
    re.IGNORECASE,
)


_NO_TEMPLATE = re.compile(r"chat[ _]template", re.IGNORECASE)


_NO_CREDIT = re.compile(r"quota|billing|credit|balance|payment|subscription", re.IGNORECASE)


async def elsewhere(ask: Ask, url: str) -> str | None:
    """The base URL near ``url`` under which a list of models is; None where none is found."""
    for base in _bases(url):
        response = await ask(f"{base}/models")
        if response is not None and read_cards(Origin(base), response) is not None:
            return base
    return None


def _bases(url: str) -> Iterator[str]:
    """Base URLs to look under: below the path that was given, below its beginnings, at the top."""
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


def is_elsewhere(response: Response) -> bool:
    """Whether what came for a list of models may be another route's: none, or a page for people."""
    is_list = read_cards(Origin(""), response) is not None
    return response.status in NO_SUCH_ROUTE or (response.status == 200 and not is_list)


def wrong_base(url: str, right: str) -> str:
    """That the interface is not where it was said to be, with what to type."""
    return f"{url} has no OpenAI-compatible interface; it is under {right}: say --endpoint {right}"


async def find_cause(origin: Origin, ask: Ask, refusal: Refusal, body: Mapping[str, Any]) -> Cause:
    """The cause of a refusal of ``body``, as far as it can be found."""
    said = origin.detail(str(refusal.status), refusal.message)
    found = _of_the_account(origin, refusal, said) or _of_the_fields(refusal, body, said)
    return found or await _of_the_server(origin, ask, refusal, body["model"])


def _of_the_account(origin: Origin, refusal: Refusal, said: str) -> Cause | None:
    status = refusal.status
    if 300 <= status < 400:
        response = Response(status, b"", location=refusal.message)
        return Cause(redirected(origin, response), is_certain=True)
    if status in (401, 403):
        words = origin.cleaned(refusal.message)
        line = refused_key(origin, status) + (f" ({words})" if words else "")
        # 403 may be about what a prompt says, as moderation has it, where a key was sent at all.
        return Cause(line, is_certain=status == 401 or origin.secret is None)
    if status == 402 or (status == 429 and _NO_CREDIT.search(refusal.message)):
        return Cause(f"{said}; the account behind the key has no credit", is_certain=True)
    return None


def _of_the_fields(refusal: Refusal, body: Mapping[str, Any], said: str) -> Cause | None:
    field = named_field(refusal, body)
    if field is not None and (is_about_name(refusal) or refusal.parameter or field != "stop"):
        return Cause(f"{said}; {_without(field, body)}", is_certain=True)
    if _NO_TEMPLATE.search(refusal.message):
        how = (
            "start the server with one (vLLM: --chat-template), or serve an instruction-tuned model"
        )
        return Cause(f"{said}; the served model has no chat template: {how}", is_certain=True)
    return None


async def _of_the_server(origin: Origin, ask: Ask, refusal: Refusal, model: str) -> Cause:
    url, has_no_route = origin.endpoint, refusal.status in NO_SUCH_ROUTE
    said = origin.detail(str(refusal.status), refusal.message)
    is_about_model = _NO_MODEL.search(refusal.message) is not None
    if not (has_no_route or is_about_model):
        return Cause(said)
    response = await ask(f"{url}/models")
    cards = None if response is None else read_cards(origin, response)
    if cards is not None and model not in cards:
        what = not_served(origin, model, cards)
    elif cards is not None:
        what = f"it lists the model {model!r} and takes no chat completions with it: is it loaded, and "
        what += "is it a chat model?"
    elif is_about_model:
        what = f"the model {model!r} is not loaded there: load it, or name another with --model"
    elif (right := await elsewhere(ask, url)) is not None:
        what = wrong_base(url, right)
    else:
        what = f"nothing takes chat completions at {url}/chat/completions: check --endpoint, which "
        what += "mostly ends in /v1"
    return Cause(f"{said}; {what}", is_certain=True)


def _without(field: str, body: Mapping[str, Any]) -> str:
    """What to type so that a field is not sent, or is sent with another value."""
    ours = {theirs: ours for ours, theirs in SPELLINGS.items()}.get(field, field)
    flag = "--chat-template-options" if ours == "chat_template_kwargs" else f"--{ours}"
    flag = flag.replace("_", "-")
    if ours == "seed" or (ours in ("temperature", "top_p") and body.get(field) == 1.0):
        return f"to send none, say --omit {ours} (which makes other trajectories)"
    if ours in ("temperature", "top_p"):
        return f"say {flag} 1, or another value that it takes, or send none with --omit {ours}"
    return f"say {flag} with another value, or leave it out"

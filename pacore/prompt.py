"""The synthesis prompt P(x, M): the turns a trajectory is sampled from (paper, Table 6).

The template's wording and white space are an interface of the published models. `TEMPLATE` is
quoted verbatim from Table 6 of arXiv 2601.05593; `render_synthesis` gives the bytes Jinja's
defaults give for it, and is plain string work so that model text can never act as a template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pacore.identity import digest, sha256_hex
from pacore.problem import Turn

TEMPLATE = """\
You are given a problem and a list of reference responses. Your job is to analyze these references and provide your own response.

Original Problem:
{{ original_prompt }}

Reference Responses:
{% for response in ref_responses %}
Reference {{ loop.index }}:
{{ response }}
{% endfor %}

Now, based on the original problem and reference responses above, please provide your own comprehensive solution."""  # noqa: E501 - the template's lines are as published

TEMPLATE_DIGEST = sha256_hex(TEMPLATE.encode())

_HEAD, _REST = TEMPLATE.split("{{ original_prompt }}")
_BETWEEN, _LOOP = _REST.split("{% for response in ref_responses %}")
_BODY, _TAIL = _LOOP.split("{% endfor %}")
_LABEL, _AFTER_LABEL = _BODY.split("{{ loop.index }}")
_BEFORE_TEXT, _AFTER_TEXT = _AFTER_LABEL.split("{{ response }}")


def render_synthesis(original: str, messages: Sequence[str]) -> str:
    """Fill the template with the problem's text and the messages, in the order given."""
    references = "".join(
        f"{_LABEL}{index}{_BEFORE_TEXT}{message}{_AFTER_TEXT}"
        for index, message in enumerate(messages, 1)
    )
    return f"{_HEAD}{original}{_BETWEEN}{references}{_TAIL}"


def turns_for(turns: Sequence[Turn], messages: Sequence[str]) -> tuple[Turn, ...]:
    """P(x, M) as turns: the last observation is replaced, earlier turns stay.

    With no messages the template is bypassed and the turns go in unmodified (appendix B).
    """
    if not messages:
        return tuple(turns)
    last = turns[-1]
    return (*turns[:-1], replace(last, content=render_synthesis(last.content, messages)))


def with_system(turns: Sequence[Turn], system: str | None) -> tuple[Turn, ...]:
    """The turns as sent: the recipe's system prompt first, unless the problem brings its own."""
    if system is None or (turns and turns[0].role == "system"):
        return tuple(turns)
    return (Turn("system", system), *turns)


def prompt_digest(turns: Sequence[Turn]) -> str:
    """sha256 of the rendered turns, 64 hex characters."""
    return digest([turn.as_json() for turn in turns])

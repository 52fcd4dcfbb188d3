"""Prompts: the turns a trajectory is sampled from, the paper's P(x, M) and two of pacore's own.

The synthesis template's wording and white space are an interface of the published models.
`TEMPLATE` is quoted verbatim from Table 6 of arXiv 2601.05593; rendering it gives the bytes Jinja's
defaults give for it, and is plain string work so that model text can never act as a template.
`CONDENSING` and `DISTILLING` are pacore's, under the same headings. Their digests are part of the
identity of the runs that use them, so another wording is another run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from pacore.core.identity import digest, sha256_hex
from pacore.core.plan import Step, StepKind
from pacore.core.problem import Turn

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

_CONDENSING = """\
Below are a problem and one reference response to it. Condense the response into a summary for somebody who will solve the problem anew and see nothing else of it.

Original Problem:
{{ original_prompt }}

Reference Responses:
{% for response in ref_responses %}
Reference {{ loop.index }}:
{{ response }}
{% endfor %}

Now write the summary, in no more than {{ max_tokens }} tokens: which way the response went, what it established and how surely, which doubts and dead ends it met, and its final answer exactly as it gives it. Do not solve the problem yourself, and correct nothing."""  # noqa: E501 - as the synthesis template, a paragraph a line

_DISTILLING = """\
Below are a problem and reference responses to it. Distil them into one workspace: all that the next attempt at the problem will see beside the problem itself.

Original Problem:
{{ original_prompt }}

Reference Responses:
{% for response in ref_responses %}
Reference {{ loop.index }}:
{{ response }}
{% endfor %}

Now write the workspace, in no more than {{ max_tokens }} tokens: what the responses agree on, where they contradict each other and which side holds when checked, intermediate results and ideas worth keeping, mistakes not to make again, and every candidate for the final answer with what speaks for it."""  # noqa: E501 - as the synthesis template, a paragraph a line


class Parts(NamedTuple):
    """A template cut at its placeholders; `Template.render` says what stands between the parts."""

    head: str
    between: str
    before_text: str
    after_text: str
    tail: str


@dataclass(frozen=True)
class Template:
    """A text with placeholders for a problem and for messages.

    ``name`` has its version, to be counted on with every change of the wording.
    """

    name: str
    text: str

    @cached_property
    def digest(self) -> str:
        """64 hex characters."""
        return sha256_hex(self.text.encode())

    @cached_property
    def parts(self) -> Parts:
        head, rest = self.text.split("{{ original_prompt }}")
        between, loop = rest.split("{% for response in ref_responses %}")
        body, tail = loop.split("{% endfor %}")
        before_text, after_text = body.split("{{ response }}")
        return Parts(head, between, before_text, after_text, tail)

    def bounded(self, max_tokens: int | None) -> Template:
        """The template with the bound it states filled in; the same where it states none."""
        return replace(self, text=self.text.replace("{{ max_tokens }}", str(max_tokens)))

    def render(self, original: str, messages: Sequence[str]) -> str:
        """Fill in the problem's text and the messages, in the order given."""
        parts = self.parts
        references = "".join(
            f"{parts.before_text.replace('{{ loop.index }}', str(index))}{text}{parts.after_text}"
            for index, text in enumerate(messages, 1)
        )
        return f"{parts.head}{original}{parts.between}{references}{parts.tail}"


SYNTHESIS = Template("synthesis/1", TEMPLATE)


CONDENSING = Template("condensing/1", _CONDENSING)


DISTILLING = Template("distilling/1", _DISTILLING)

TEMPLATES: dict[StepKind, Template] = {
    "sample": SYNTHESIS,
    "condense": CONDENSING,
    "distill": DISTILLING,
}


def template_of(step: Step) -> Template:
    """The template of a round's prompts, with the bound of its generations."""
    return TEMPLATES[step.kind].bounded(step.max_tokens)


def template_digests(steps: Sequence[Step]) -> dict[str, str]:
    """Digests of the templates of a plan's steps by their place in a run's identity.

    ``template`` is the paper's, which is always there; the others where they are used.
    """
    used = {step.kind for step in steps}
    own = {
        f"{kind}_template": template.digest
        for kind, template in TEMPLATES.items()
        if kind != "sample" and kind in used
    }
    return {"template": SYNTHESIS.digest, **own}


def turns_for(
    turns: Sequence[Turn],
    messages: Sequence[str],
    template: Template = SYNTHESIS,
    observation: int = -1,
) -> tuple[Turn, ...]:
    """P(x, M) as turns: the last observation is replaced, the others stay.

    With no messages the template is bypassed and the turns go in unmodified (appendix B).
    """
    if not messages:
        return tuple(turns)
    replaced = list(turns)
    turn = turns[observation]
    replaced[observation] = replace(turn, content=template.render(turn.content, messages))
    return tuple(replaced)


def with_system(turns: Sequence[Turn], system: str | None) -> tuple[Turn, ...]:
    """The turns as sent: the recipe's system prompt first, unless the problem brings its own."""
    if system is None or (turns and turns[0].role == "system"):
        return tuple(turns)
    return (Turn("system", system), *turns)


def prompt_digest(turns: Sequence[Turn]) -> str:
    """sha256 of the rendered turns, 64 hex characters."""
    return digest([turn.as_json() for turn in turns])

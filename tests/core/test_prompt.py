"""The synthesis prompt, byte for byte: the golden files were written from the paper's Table 6."""

from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.identity import sha256_hex
from pacore.core.plan import Plan
from pacore.core.problem import Turn
from pacore.core.prompt import (
    CONDENSING,
    DISTILLING,
    SYNTHESIS,
    TEMPLATE,
    TEMPLATES,
    Template,
    prompt_digest,
    template_digests,
    template_of,
    turns_for,
    with_system,
)
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "prompt"


QUESTION = "What is 17 + 25? Give the final answer in \\boxed{}."


ODD_MESSAGES = (
    "\nThe sum is \\boxed{42}.",
    "I make it {{ 7*7 }}, or {% raw %}49{% endraw %}.",
    "\\boxed{42}\n",
    "  Zweiundvierzig — 四十二\r\n\n\\boxed{42}  ",
)

texts = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    ["{{ 7*7 }}", "{% for x in y %}", "{# gone? #}", "\n", "\r\n", "Reference 1:", "{{ response }}"]
)


def golden(name: str) -> str:
    return (GOLDEN / name).read_bytes().decode("utf-8")


def turns_of(values: list[dict[str, Any]]) -> tuple[Turn, ...]:
    return tuple(Turn(value["role"], value["content"]) for value in values)


def test_the_template_is_the_papers_to_the_byte_and_ends_without_a_newline() -> None:
    assert golden("template.txt") == TEMPLATE
    assert not TEMPLATE.endswith("\n")
    assert sha256_hex((GOLDEN / "template.txt").read_bytes()) == SYNTHESIS.digest


def test_without_messages_the_template_is_bypassed() -> None:
    turns = (Turn("system", "Be brief."), Turn("user", QUESTION))
    assert turns_for(turns, ()) == turns


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("one_message.txt", ("17 + 25 = 42, so the answer is \\boxed{42}.",)),
        ("four_messages.txt", ODD_MESSAGES),
    ],
)
def test_messages_go_into_the_user_turn_exactly_as_they_are(
    name: str, messages: tuple[str, ...]
) -> None:
    assert turns_for((Turn("user", QUESTION),), messages) == (Turn("user", golden(name)),)


def test_a_last_turn_from_a_tool_is_replaced_and_earlier_turns_stay() -> None:
    case = json.loads(golden("tool_turn.json"))
    assert turns_for(turns_of(case["before"]), case["messages"]) == turns_of(case["after"])


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
@settings(deadline=None)
@given(original=texts, messages=st.lists(texts, max_size=6), bound=st.integers(1, 9999))
def test_rendering_gives_what_jinja_gives_for_the_template(
    template: Template, original: str, messages: list[str], bound: int
) -> None:
    expected = jinja2.Template(template.text).render(
        original_prompt=original, ref_responses=messages, max_tokens=bound
    )
    assert template.bounded(bound).render(original, messages) == expected


@pytest.mark.parametrize(
    ("template", "digest"),
    [
        (CONDENSING, "c15c97ac64154fae65c9dbd441736436e55ccc3ebe72dc2dd307cf0ab91a6c6b"),
        (DISTILLING, "7392de04acc9ff09035e81557cc3ac2a9168ab20d48b34d893c6d1b3e3f86600"),
    ],
)
def test_another_wording_is_another_version(template: Template, digest: str) -> None:
    """The golden file and the digest go with the number in the name: change all three."""
    stem, _, version = template.name.partition("/")
    assert golden(f"{stem}-{version}.txt") == template.text
    assert template.digest == digest


def test_a_run_names_the_templates_it_uses_and_no_other() -> None:
    plain = template_digests(Plan((4, 2)).steps)
    assert plain == {"template": SYNTHESIS.digest}
    condensed = template_digests(Plan((4,), compaction="summary", summary_tokens=9).steps)
    assert condensed == plain | {"condense_template": CONDENSING.digest}
    distilled = template_digests(Plan((4,), workspace_tokens=9).steps)
    assert distilled == plain | {"distill_template": DISTILLING.digest}


def test_the_bound_of_a_step_is_told_to_the_model() -> None:
    condense = Plan((4,), compaction="summary", summary_tokens=321).step(2)
    told = template_of(condense).render(QUESTION, ["\\boxed{42}"])
    assert "no more than 321 tokens" in told
    assert "{{" not in told


@settings(deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_messages_is_part_of_the_prompt(order: list[int]) -> None:
    messages = [f"message {number}" for number in order]
    prompt = SYNTHESIS.render(QUESTION, messages)
    places = [prompt.index(f"Reference {i}:\n{text}\n") for i, text in enumerate(messages, 1)]
    assert places == sorted(places)


def test_a_system_prompt_goes_first_unless_the_problem_brings_its_own() -> None:
    question = (Turn("user", QUESTION),)
    own = (Turn("system", "Mine."), *question)
    assert with_system(question, "Ours.") == (Turn("system", "Ours."), *question)
    assert with_system(own, "Ours.") == own
    assert with_system(question, None) == question


def test_the_prompt_digest_tells_apart_where_turns_end() -> None:
    one = (Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"))
    other = (Turn("user", "a"), Turn("assistant", ""), Turn("user", "bc"))
    assert prompt_digest(one) != prompt_digest(other)
    assert prompt_digest(one) == prompt_digest(list(one))

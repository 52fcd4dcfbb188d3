"""``--message-order reference --compaction reference``: the published code's prompts, to the byte."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pacore.core.config.run import RunConfig
from pacore.core.message import compacted, message_set
from pacore.core.plan import Plan
from pacore.core.problem import Problem, Turn
from pacore.core.recipe import Recipe
from pacore.core.round import Round, by_slot
from pacore.core.trajectory import FinishReason, Generation, Trajectory
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.audited import errors
from tests.fixtures.faulty_server import Connection, FaultyServer, Received, answers, completion
from tests.fixtures.http_tries import CHAT
from tests.fixtures.pipeline import run_stages, table
from tests.fixtures.reference_rounds import next_turns
from tests.fixtures.served import served

REFERENCE: dict[str, Any] = {"message_order": "reference", "compaction": "reference"}


CONVERSATIONS = {
    "a question": (Turn("user", "What is 3 + 4?"),),
    "with a system prompt": (Turn("system", "Be brief."), Turn("user", "What is 3 + 4?\n")),
    "several turns": (
        Turn("user", "Hello."),
        Turn("assistant", "Hello!"),
        Turn("user", " What is {{ 3 + 4 }}? "),
    ),
    "a tool's turn last": (
        Turn("user", "What is 3 + 4?"),
        Turn("assistant", "I shall look."),
        Turn("tool", "7"),
    ),
}


CONTENTS = (
    "<think>hmm</think>\n\nThe answer is \\boxed{7}.\n",  # no parser, as the model writes it
    "hmm\n</think>\n\nSeven.",  # no parser, the opening tag in the template
    "\n\nIt is 7.",  # a parser that leaves white space
    "It is 7, I think, so 7.",  # a parser that strips
    "<think>Let me see, three and",  # cut while thinking
    "No tags at all, and cut in the",
    "<think>a</think> no, <think>b</think>\tseven",
    "<think>only thought, no answer</think>",  # an empty reference
    "<think>x</think>\n \n",  # a blank one
    " \n",
    "",  # an error, or nothing
    "{{ 7*7 }} {% raw %}{% endraw %} {# gone #}",
    "Zweiundvierzig — 四十二\r\n\n\\boxed{42}  ",
    "Reference 2:\nno</think>\n\nReference 1:\nyes",
)


contents = st.lists(
    st.sampled_from(CONTENTS) | st.text(st.characters(codec="utf-8"), max_size=20),
    min_size=1,
    max_size=9,
)


def as_json(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    return [turn.as_json() for turn in turns]


def rendered(
    turns: tuple[Turn, ...], arrived: list[str], ends: list[FinishReason]
) -> list[dict[str, str]] | None:
    """The second round's turns as the pipeline makes them; None where it makes none."""
    plan = Plan((len(arrived),), **REFERENCE)
    problem = Problem("p", turns)
    recipe = Recipe("m")
    slots = by_slot(Round(plan, recipe, problem, (1, 0)).prompts())
    # Ids decide between equal lengths here, and the order of arrival there: let them agree.
    requests = sorted(
        ((prompt.request(recipe, place.draw), place) for prompt, place in slots),
        key=lambda pair: pair[0].trajectory_id,
    )
    candidates = []
    for (request, place), content, end in zip(requests, arrived, ends, strict=True):
        made = Trajectory.of(place, request, Generation(end, content=content))
        candidates.append(compacted(made, plan.step(1).compaction))
    messages = message_set((1, "p", 0), candidates, plan.message_order, "reference")
    if not messages:
        return None
    texts = [message.text for message in messages]
    (prompt,) = Round(plan, recipe, problem, (2, 0), texts).prompts()
    return as_json(prompt.turns)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@settings(max_examples=80, deadline=None)
@given(arrived=contents, data=st.data())
def test_every_prompt_has_the_published_codes_bytes(
    conversation: str, arrived: list[str], data: st.DataObject
) -> None:
    assume(any(arrived))
    turns = CONVERSATIONS[conversation]
    ends: list[FinishReason] = [data.draw(st.sampled_from(["stop", "length"])) for _ in arrived]
    assert rendered(turns, arrived, ends) == next_turns(as_json(turns), arrived)


def test_all_shapes_at_once_and_equal_lengths_in_their_order() -> None:
    turns = CONVERSATIONS["a question"]
    for arrived in (list(CONTENTS), list(reversed(CONTENTS)), ["aa", "bb", "cc", "dd"]):
        ends: list[FinishReason] = ["stop"] * len(arrived)
        assert rendered(turns, arrived, ends) == next_turns(as_json(turns), arrived)


def test_an_engines_failure_takes_its_place_in_the_shuffle_as_an_empty_response_does() -> None:
    turns = CONVERSATIONS["a question"]
    arrived = ["", "b", "cc", "ddd"]
    ends: list[FinishReason] = ["engine_error", "stop", "stop", "stop"]
    assert rendered(turns, arrived, ends) == next_turns(as_json(turns), arrived)


def test_where_nothing_has_content_the_set_has_no_message() -> None:
    assert rendered(CONVERSATIONS["a question"], ["", ""], ["stop", "length"]) is None


@pytest.mark.parametrize("width", [4, 14])
def test_a_run_over_http_sends_those_bytes_round_after_round(tmp_path: Path, width: int) -> None:
    conversation = CONVERSATIONS["several turns"]
    row = {"id": "p", "messages": as_json(conversation), "answer": "7"}
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    given_out: dict[str, list[tuple[str, str]]] = {}

    async def chat(received: Received, connection: Connection) -> None:
        prompt = json.dumps(received.json["messages"])
        said = given_out.setdefault(prompt, [])
        content = CONTENTS[len(said)]
        said.append((received.headers["x-request-id"], content))
        await answers(completion(content, "length" if len(said) % 3 == 0 else "stop"))(
            received, connection
        )

    config = {"problems": str(tmp_path / "problems.jsonl"), "store": str(tmp_path / "store"),
              "model": "smol", "widths": (width, 3), "run_id": "mine", **REFERENCE}  # fmt: skip
    with served(FaultyServer({CHAT: chat})) as server:
        run_stages(RunConfig.model_validate({**config, "endpoints": (server.endpoint,)}))
    prompts = [json.loads(prompt) for prompt in given_out]
    assert len(prompts) == 3
    for before, after in pairwise(prompts):
        arrived = [content for _, content in sorted(given_out[json.dumps(before)])]
        assert after == next_turns(as_json(conversation), arrived)
    store = open_store(str(tmp_path / "store"))
    assert not errors(store, "mine")
    with Warehouse(store, ["mine"]) as warehouse:
        assert not any(warehouse.run_checks().values())
        compactors = warehouse.query("SELECT DISTINCT compactor FROM messages WHERE round < 3")
        assert list(compactors.rows) == [("reference/1",)]


def test_the_default_of_both_policies_hands_on_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "problems.jsonl").write_text('{"id": "p", "problem": "What is 3 + 4?"}\n')
    config = {"problems": str(tmp_path / "problems.jsonl"), "store": str(tmp_path / "store"),
              "model": "smol", "widths": (2,), "run_id": "mine",
              "message_order": "reference"}  # fmt: skip
    server = FaultyServer({CHAT: answers(completion("<think>x</think>\n\nIt is 7. \n"))})
    with served(server):
        run_stages(RunConfig.model_validate({**config, "endpoints": (server.endpoint,)}))
    texts = table(str(tmp_path / "store"), "mine", "messages", ["text", "compactor"])
    assert set(texts) == {(1, "It is 7.", "conclusion/1"), (2, "It is 7.", "conclusion/1")}


def test_a_tail_beside_it_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="compaction reference keeps what was cut"):
        RunConfig(problems="p", engine="scripted", compaction="reference", truncated="tail")

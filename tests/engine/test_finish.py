"""Words for the end of a response: what each says, known to pacore or made of known parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.engine.chat.choice import NO_FINISH, Finish, finish_reason, meaning, read_finish
from pacore.report.rendering.terminal import to_text
from pacore.report.run import result_sheet, run_results
from pacore.store.backends.opening import open_store
from pacore.warehouse.views import Warehouse
from tests.fixtures.audited import errors
from tests.fixtures.faulty_server import FaultyServer, answers, completion
from tests.fixtures.hostile import problem_lines
from tests.fixtures.http_tries import CHAT
from tests.fixtures.pipeline import run_stages, table
from tests.fixtures.served import served
from tests.runs.test_early_stop import config_for

WORDS = {
    "ended": """stop STOP eos EOS eos_token EOS_TOKEN stop_sequence end end_turn COMPLETE complete
        completed tool_calls function_call tool_use pause_turn refusal FINISH finished done normal
        eosFound stopStringFound toolCalls eogToken stopGenerationTrigger FinishReason.STOP
        FINISH_REASON_STOP REASON_STOP endoftext <|im_end|> stop_words end_id success natural
        MALFORMED_FUNCTION_CALL stop-sequence EndTurn endturn stop_token eos_found""",
    "limit": """length LENGTH max_tokens MAX_TOKENS maxTokens max_length model_length max_output_tokens
        MAX_NEW_TOKENS token_limit TOKEN_LIMIT TIME_LIMIT timeout incomplete budget_exhausted
        model_context_window_exceeded contextLengthReached maxPredictedTokensReached REASON_MAX_LEN
        ERROR_LIMIT stop_limit length_capped context_window truncated cut hit_limit window_full
        OUT_OF_TOKENS kv_cache_full cutoff max_new_tokens_reached""",
    "stopped": "repetition repetitive_output loop_detected",
    "withheld": """content_filter content_filtered CONTENT_FILTERED safety SAFETY sensitive RECITATION
        BLOCKLIST PROHIBITED_CONTENT SPII LANGUAGE IMAGE_SAFETY guardrail_intervened ERROR_TOXIC
        content-filter copyright_violation""",
    "aborted": """abort aborted error ERROR network_error insufficient_system_resource USER_CANCEL
        cancelled canceled failed internal_error load unload modelUnloaded finished_aborted
        server_shutdown preemption oom_error worker_killed""",
    "unknown": """fertig OTHER FINISH_REASON_UNSPECIFIED NOT_FINISHED not_finished unknown null None
        xyzzy 終了 7 -""",
}


@pytest.mark.parametrize(
    ("word", "end"), [(word, end) for end, words in WORDS.items() for word in words.split()]
)
def test_a_word_says_what_its_parts_say(word: str, end: str) -> None:
    assert meaning(word) == end
    assert read_finish(f" {word} ") == Finish(end, word)


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "null"), ("", '""'), (" ", '""'), (3, "3"), (True, "true"), ({}, "{}"), ([], "[]")],
)
def test_what_is_no_word_is_kept_as_json(value: Any, said: str) -> None:
    finish = read_finish(value)
    assert (finish.end, finish.reason) == ("unknown", said)


@pytest.mark.parametrize("value", [{"type": "stop"}, {"reason": "eos"}, {"name": "end_turn"}])
def test_an_object_is_read_by_the_text_that_names_it(value: Any) -> None:
    assert read_finish(value).end == "ended"


@pytest.mark.parametrize("finish", [None, "", "null", {}])
def test_nothing_in_any_form_is_no_word(finish: Any) -> None:
    assert not read_finish(finish).is_present
    assert not NO_FINISH.is_present
    assert read_finish("fertig").is_present


def test_what_no_word_decides_is_decided_by_the_text() -> None:
    unknown = read_finish("fertig")
    assert finish_reason(unknown, is_at_limit=False, is_open=False) == "stop"
    assert finish_reason(unknown, is_at_limit=True, is_open=False) == "length"
    assert finish_reason(unknown, is_at_limit=False, is_open=True) == "length"
    told = read_finish("stop")
    assert finish_reason(told, is_at_limit=True, is_open=True) == "stop"


@given(st.text() | st.none() | st.integers() | st.lists(st.text(), max_size=2))
def test_any_value_has_a_meaning_and_a_text(value: Any) -> None:
    finish = read_finish(value)
    for flag in (True, False):
        reason = finish_reason(finish, is_at_limit=flag, is_open=flag)
        assert reason in ("stop", "length", "engine_error")
    assert isinstance(finish.reason, str)


# In a run.


@pytest.mark.slow
def test_words_that_are_no_plain_end_are_counted_and_shown_with_what_they_were_taken_for(
    tmp_path: Path,
) -> None:
    ends = ["stop", "eos", None, "fertig", "fertig", "content_filter", "stop"]
    chat = [answers(completion("\\boxed{5}", end)) for end in ends]
    with served(FaultyServer({CHAT: chat})) as server:
        config = config_for(tmp_path, server.endpoint, widths=(5,), limit=1, concurrency=1)
        run_stages(config)
        assert len(server.received(CHAT)) == 6
    store = open_store(str(tmp_path / "store"))
    with Warehouse(store, ["mine"]) as warehouse:
        counted = warehouse.query(
            "SELECT round, finish_reason, finish_said, trajectories FROM mart_finish_words"
        )
        assert list(counted.rows) == [
            (1, "stop", "fertig", 2),
            (1, "stop", "null", 1),
            (2, "length", "content_filter", 1),
        ]
        shown = to_text(result_sheet(run_results(warehouse, "mine")), 200)
        assert not any(warehouse.run_checks().values())
    assert (
        "other finish reasons 4 (2 fertig as stop, 1 content_filter as length, 1 null as stop)"
        in shown
    )
    assert errors(store, "mine") == []


@pytest.mark.slow
def test_a_run_without_such_words_says_nothing_of_them(tmp_path: Path) -> None:
    with served(FaultyServer()) as server:
        run_stages(config_for(tmp_path, server.endpoint, limit=1))
    with Warehouse(open_store(str(tmp_path / "store")), ["mine"]) as warehouse:
        assert "other finish" not in to_text(result_sheet(run_results(warehouse, "mine")))


@pytest.mark.slow
def test_a_text_that_broke_off_stands_with_its_tombstone_and_is_audited(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(problem_lines({"any": "any"}))
    aborted = answers(completion("The answer is", "abort", reasoning="Three and four."))
    with served(FaultyServer({CHAT: aborted})) as server:
        config = config_for(tmp_path, server.endpoint, widths=(), retries=1)
        run_stages(config.model_copy(update={"problems": str(tmp_path / "one.jsonl")}))
    store = str(tmp_path / "store")
    columns = ["finish_reason", "finish_said", "wasted_tokens", "completion_tokens", "conclusion"]
    rows = table(store, "mine", "trajectories", columns)
    assert rows == [(1, "engine_error", "abort", 10, None, None)]
    texts = table(store, "mine", "trajectory_texts", ["reasoning", "content"])
    assert texts == [(1, "Three and four.", "The answer is")]
    assert errors(open_store(store), "mine") == []


def test_what_no_text_was_read_from_stands_in_the_row(tmp_path: Path) -> None:
    call = {"tool_calls": [{"function": {"name": "solve", "arguments": "{}"}}]}
    with served(FaultyServer({CHAT: answers(completion(None, "tool_calls", **call))})) as server:
        run_stages(config_for(tmp_path, server.endpoint, widths=(), limit=1))
    rows = table(str(tmp_path / "store"), "mine", "trajectories", ["finish_reason", "unread"])
    assert rows == [
        (1, "stop", '{"tool_calls": [{"function": {"name": "solve", "arguments": "{}"}}]}')
    ]
    assert errors(open_store(str(tmp_path / "store")), "mine") == []

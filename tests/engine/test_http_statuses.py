"""Engine ``http`` against servers that refuse: one meaning for each status and error body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.engine.faults import Origin, retry_after_seconds
from pacore.errors import BadInput
from tests.fixtures.faulty_server import answers
from tests.fixtures.http_tries import KEY, engine_at, error_body, fault_of, generation_of

OVERFLOWS = {
    "OpenAI": error_body("Too long.", code="context_length_exceeded", param="messages"),
    "llama.cpp": error_body("Too long.", type="exceed_context_size_error", code=400),
    "vLLM, by parameter": error_body("Too long.", code=400, param="input_tokens"),
    "vLLM, prompt": error_body(
        "This model's maximum context length is 8192 tokens. However, your prompt contains at "
        "least 8193 input tokens, which exceeds this limit even without any output tokens.",
        code=400,
    ),
    "vLLM, max_tokens": error_body(
        "max_tokens=9000 cannot be greater than max_model_len=8192. Please request fewer output "
        "tokens. (parameter=max_tokens, value=9000)",
        code=400,
        param="max_tokens",
    ),
    "vLLM, before 0.10": {
        "object": "error",
        "message": "This model's maximum context length is 16384 tokens. However, you requested "
        "19591 tokens (9591 in the messages, 10000 in the completion).",
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    },
    "SGLang, prompt": {
        "object": "error",
        "message": "The input (10009 tokens) is longer than the model's context length (128).",
        "type": "BadRequestError",
        "code": 400,
    },
    "SGLang, total": {
        "object": "error",
        "message": "Requested token count exceeds the model's maximum context length of 64 tokens.",
        "code": 400,
    },
    "SGLang, scheduler": error_body(
        "Input length (32764 tokens) exceeds the maximum allowed length (32762 tokens)."
    ),
}


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("server", OVERFLOWS)
def test_a_prompt_too_long_is_a_context_overflow_in_every_servers_words(
    server: str, status: int
) -> None:
    generation = generation_of(answers(OVERFLOWS[server], status))
    assert generation.finish_reason == "context_overflow"
    assert generation.content is None
    assert generation.engine == "http"
    assert generation.error is not None
    assert f"{status}: " in generation.error
    assert generation.error.isprintable()


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 422, 451, 501])
def test_a_request_the_server_refuses_is_rejected_for_good(status: int) -> None:
    fault = fault_of(answers(error_body("temperature must be non-negative"), status))
    assert (fault.finish_reason, fault.transient) == ("rejected", False)
    assert fault.detail.endswith(f"{status}: temperature must be non-negative")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_a_server_in_trouble_is_an_engine_error_that_passes(status: int) -> None:
    fault = fault_of(answers(error_body("try later"), status))
    assert (fault.finish_reason, fault.transient) == ("engine_error", True)
    assert fault.retry_after_seconds is None
    assert f"{status}: try later" in fault.detail


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_words_of_the_context_window_mean_nothing_under_another_status(status: int) -> None:
    fault = fault_of(answers(OVERFLOWS["vLLM, prompt"], status))
    assert fault.finish_reason == ("rejected" if status < 429 else "engine_error")


def test_an_account_without_credit_is_not_cured_by_waiting() -> None:
    body = error_body("You exceeded your quota.", code="insufficient_quota")
    fault = fault_of(answers(body, 429, {"Retry-After": "1"}))
    assert (fault.finish_reason, fault.transient) == ("rejected", False)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("0", 0.0), (" 1.5 ", 1.5)])
def test_retry_after_in_seconds_is_handed_on(header: str, seconds: float) -> None:
    fault = fault_of(answers({}, 429, {"Retry-After": header}))
    assert fault.retry_after_seconds == seconds


def test_retry_after_as_a_date_becomes_the_seconds_until_then() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    fault = fault_of(answers({}, 503, {"Retry-After": date}))
    assert fault.retry_after_seconds == pytest.approx(58, abs=3)


@pytest.mark.parametrize("ahead_hours", [-24, 0, 24])
def test_a_date_counts_by_the_clock_of_the_server_that_sent_it(ahead_hours: int) -> None:
    now = datetime.now(UTC)
    theirs = now + timedelta(hours=ahead_hours)
    date, until = (format_datetime(theirs + timedelta(seconds=n), usegmt=True) for n in (0, 60))
    assert retry_after_seconds(until, date, now) == 60


def test_a_date_that_is_over_means_at_once() -> None:
    fault = fault_of(answers({}, 503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    assert fault.retry_after_seconds == 0.0


@pytest.mark.parametrize(
    "header", ["soon", "-3", "nan", "1e9", "Xyz, 99 Foo 2015 99:99:99 GMT", ""]
)
def test_a_retry_after_that_cannot_be_read_is_left_out(header: str) -> None:
    fault = fault_of(answers({}, 429, {"Retry-After": header}))
    assert fault.transient
    assert fault.retry_after_seconds is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT"))
def test_a_retry_after_of_any_text_is_seconds_or_nothing(header: str) -> None:
    wait_seconds = retry_after_seconds(header, header, datetime.now(UTC))
    assert wait_seconds is None or wait_seconds >= 0


@pytest.mark.parametrize(
    "body",
    [
        {"error": "no entry"},
        {"detail": "no entry"},
        {"detail": [{"msg": "no entry"}]},
        [{"error": {"message": "no entry"}}],
        "no entry",
        b"<html>no entry</html>",
        b"\xff\xfe no entry",
        error_body("\x1b[31mno\r\n\x07 entry\x1b]0;title\x07\u202e"),
    ],
)
def test_what_the_server_says_stands_in_the_detail_on_one_line(body: Any) -> None:
    assert "no entry" in fault_of(answers(body, 404)).detail


def test_a_long_message_is_cut() -> None:
    fault = fault_of(answers(error_body("long " * 100_000), 500))
    assert "long long" in fault.detail


def test_a_redirect_is_not_followed_with_the_key_in_hand() -> None:
    fault = fault_of(answers({}, 307, {"Location": "http://127.0.0.1:9/"}))
    assert (fault.finish_reason, fault.transient) == ("rejected", False)


@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        "sk-very%2Fsecret%2Bkey",
        "sk-very\x1b[0m/secret+key",
        "x" * 290 + KEY,
        "\x1b[0m" * 2000 + KEY,
        "\x1b[0m" * 2044 + KEY,
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_echoed_by_the_server_is_masked(echo: str, status: int) -> None:
    fault = fault_of(answers(error_body(f"bad key {echo} given"), status))
    assert "very" not in fault.detail
    assert "secret" not in fault.detail


@given(before=st.text(), escape=st.sampled_from(["", "\x1b[1m", "\x1b]8;;\x07"]), after=st.text())
def test_a_detail_is_one_clean_line_without_the_key(before: str, escape: str, after: str) -> None:
    message = f"{before}{KEY[:9]}{escape}{KEY[9:]}{after}"
    detail = Origin("http://host/v1", KEY).detail("500", message)
    assert KEY not in detail
    assert detail.isprintable()
    assert len(detail) <= len("http://host/v1: 500: ") + 300


def test_a_key_echoed_with_an_overflow_is_masked() -> None:
    generation = generation_of(answers(error_body(KEY, code="context_length_exceeded"), 400))
    assert generation.error is not None
    assert "secret" not in generation.error


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    with pytest.raises(BadInput) as refused:
        engine_at("http://127.0.0.1:1/v1", api_key="sécret\nkey")
    assert "cret" not in str(refused.value)

"""Errors without a code of their own: which mean the context window, and which only speak of it.

Worded after what public servers and gateways say; numbers and names are made up.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.engine.faults import ServerError, is_context_overflow
from tests.conftest import ROOT
from tests.fixtures.faulty_server import answers
from tests.fixtures.http_tries import error_body, fault_of, generation_of

LABELLED = ROOT / "tests" / "labelled" / "overflow_wordings.jsonl"


ROWS = [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]


OVERFLOWS = [row["message"] for row in ROWS if row["overflow"]]


OTHERS = [row["message"] for row in ROWS if not row["overflow"]]


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("message", OVERFLOWS)
def test_a_prompt_too_long_is_known_by_what_every_wording_says(message: str, status: int) -> None:
    assert is_context_overflow(status, ServerError(message))
    assert is_context_overflow(status, ServerError(message.upper()))


@pytest.mark.parametrize("message", OTHERS)
def test_other_limits_are_none_of_the_window(message: str) -> None:
    assert not is_context_overflow(400, ServerError(message))


@pytest.mark.parametrize(
    "body",
    [
        {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: "
         "5000 `inputs` tokens and 100 `max_new_tokens`", "error_type": "validation"},
        {"type": "error", "error": {"type": "invalid_request_error",
         "message": "prompt is too long: 208310 tokens > 200000 maximum"}},
        {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count "
         "(1200000) exceeds the maximum number of tokens allowed (1048576)."}},
        [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count "
         "(1200000) exceeds the maximum number of tokens allowed (1048576)."}}],
        {"message": "too many tokens: the prompt has 5000, the limit is 4081"},
        {"detail": "Prompt length 9000 is greater than max_seq_len 8192"},
        {"object": "error", "message": "Prompt contains 150000 tokens, too large for model with "
         "131072 maximum context length", "type": "invalid_request_error", "code": "3051"},
        {"error": {"message": "x", "code": "tokens_limit_reached"}},
        {"type": "error", "error": {"type": "request_too_large", "message": "Request exceeds"}},
    ],
)  # fmt: skip
def test_it_is_read_from_every_shape_of_an_error(body: object) -> None:
    status = 422 if "error_type" in str(body) else 400
    assert generation_of(answers(body, status)).finish_reason == "context_overflow"


def test_a_rate_that_speaks_of_tokens_is_refused_and_no_overflow() -> None:
    said = error_body("Request too large for model on tokens per minute (TPM): Limit 6000, your "
                      "messages have 7000 tokens", code="rate_limit_exceeded", type="tokens")  # fmt: skip
    assert fault_of(answers(said, 413)).finish_reason == "rejected"


@given(st.sampled_from([400, 413, 422, 429, 500]), st.text())
def test_any_text_is_an_overflow_or_none(status: int, message: str) -> None:
    assert is_context_overflow(status, ServerError(message)) in (True, False)

"""Bodies of a 200 as public servers and gateways send them, and what each says.

Worded after their documentation and bug reports; ids, names and texts are made up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ANSWER = "The answer is \\boxed{7}."
THOUGHT = "Three and four make seven."


@dataclass(frozen=True)
class Body:
    """A body, and what is read of it. ``conclusion`` None means that it has none."""

    body: Any
    content: str | None = ANSWER
    reasoning: str | None = None
    finish_reason: str = "stop"
    conclusion: str | None = ANSWER
    finish_said: str | None = None
    unread: str | None = None
    completion_tokens: int | None = 5

    @property
    def encoded(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def chat(
    message: Any, finish_reason: Any = "stop", usage: Any = None, **choice: Any
) -> dict[str, Any]:
    counts = {"prompt_tokens": 11, "completion_tokens": 5} if usage is None else usage
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}],
        "usage": counts,
    }


def said(content: Any = ANSWER, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def part(text: str, kind: str = "text") -> dict[str, Any]:
    return {"type": kind, "text": text}


CALL = {"id": "c1", "type": "function", "function": {"name": "solve", "arguments": '{"x": 7}'}}
LOGPROBS = {"content": [{"token": "The answer is ", "logprob": -0.1}, {"token": "\\boxed{7}."}]}

MAGISTRAL = [
    {"type": "thinking", "thinking": [part(THOUGHT)], "closed": True},
    {"type": "text", "text": ANSWER},
]
CLAUDE = [
    {"type": "thinking", "thinking": THOUGHT, "signature": "c2ln"},
    {"type": "text", "text": ANSWER},
]
RESPONSES = [
    {"type": "reasoning", "id": "rs", "summary": [part(THOUGHT, "summary_text")]},
    {"type": "message", "role": "assistant", "content": [part(ANSWER, "output_text")]},
]
DETAILS = [{"type": "reasoning.text", "text": THOUGHT, "format": "x", "index": 0}]

BODIES: dict[str, Body] = {
    # How it ended.
    "TGI, eos_token": Body(chat(said(), "eos_token")),
    "TGI, stop_sequence": Body(chat(said(), "stop_sequence")),
    "Together, eos": Body(chat(said(), "eos")),
    "Anthropic's words, end_turn": Body(chat(said(), "end_turn")),
    "Cohere's words": Body(chat(said(), "COMPLETE")),
    "Gemini's words": Body(chat(said(), "STOP")),
    "Gemini through a client": Body(chat(said(), "FinishReason.STOP")),
    "LM Studio's words": Body(chat(said(), "eosFound")),
    "Bedrock, Titan": Body(chat(said(), "FINISH")),
    "Ollama, done_reason": Body(
        {"model": "m", "message": said(), "done": True, "done_reason": "stop", "eval_count": 5},
        completion_tokens=None,
    ),
    "max_tokens": Body(chat(said(), "max_tokens"), finish_reason="length", conclusion=None),
    "MAX_TOKENS, thinking closed": Body(
        chat(said(reasoning=THOUGHT), "MAX_TOKENS"), reasoning=THOUGHT, finish_reason="length"
    ),
    "Mistral, model_length": Body(
        chat(said(), "model_length"), finish_reason="length", conclusion=None
    ),
    "GLM, window": Body(
        chat(said(), "model_context_window_exceeded"), finish_reason="length", conclusion=None
    ),
    "vLLM, repetition": Body(
        chat(said("<think>so so so so"), "repetition"),
        content="<think>so so so so",
        finish_reason="length",
        conclusion=None,
        finish_said="repetition",
    ),
    "Azure, content_filter": Body(
        chat(said(reasoning=THOUGHT), "content_filter"),
        reasoning=THOUGHT,
        finish_reason="length",
        finish_said="content_filter",
    ),
    "Gemini, RECITATION": Body(
        chat(said(), "RECITATION"),
        finish_reason="length",
        conclusion=None,
        finish_said="RECITATION",
    ),
    "null": Body(chat(said(), None), finish_said="null"),
    "empty": Body(chat(said(), ""), finish_said='""'),
    "missing": Body(
        {"choices": [{"message": said()}], "usage": {"completion_tokens": 5}},
        finish_said="missing",
    ),
    "a word nobody knows": Body(chat(said(), "fertig"), finish_said="fertig"),
    "a word nobody knows, cut while thinking": Body(
        chat(said(None, reasoning=THOUGHT), "fertig"),
        content=None,
        reasoning=THOUGHT,
        finish_reason="length",
        conclusion=None,
        finish_said="fertig",
    ),
    "a number": Body(chat(said(), 3), finish_said="3"),
    "OpenRouter, native word": Body(
        chat(said(), "length", native_finish_reason="max_output_tokens"),
        finish_reason="length",
        conclusion=None,
    ),
    # What was said.
    "Magistral": Body(chat(said(MAGISTRAL)), reasoning=THOUGHT),
    "Magistral, cut": Body(
        chat(said(MAGISTRAL[:1]), "length"),
        content="",
        reasoning=THOUGHT,
        finish_reason="length",
        conclusion=None,
    ),
    "Claude's parts": Body(chat(said(CLAUDE)), reasoning=THOUGHT),
    "Claude's own interface": Body(
        {"type": "message", "role": "assistant", "content": CLAUDE, "stop_reason": "end_turn",
         "usage": {"input_tokens": 11, "output_tokens": 5}},
        reasoning=THOUGHT,
    ),
    "text parts": Body(chat(said([part("The answer "), part("is \\boxed{7}.")]))),
    "texts in a list": Body(chat(said(["The answer ", "is \\boxed{7}."]))),
    "output_text": Body(chat(said([part(ANSWER, "output_text")]))),
    "OpenAI, responses": Body(
        {"object": "response", "status": "completed", "output": RESPONSES,
         "usage": {"input_tokens": 11, "output_tokens": 5}},
        reasoning=THOUGHT,
        finish_said="missing",
    ),
    "Gemini's own interface": Body(
        {"candidates": [{"content": {"role": "model", "parts": [
            {"text": THOUGHT, "thought": True}, {"text": ANSWER}]}, "finishReason": "STOP"}]},
        reasoning=THOUGHT,
        completion_tokens=None,
    ),
    "Cohere's own interface": Body(
        {"id": "x", "message": {"role": "assistant", "content": CLAUDE},
         "finish_reason": "COMPLETE", "usage": {"tokens": {}}},
        reasoning=THOUGHT,
        completion_tokens=None,
    ),
    "content as an object": Body(chat(said({"type": "text", "text": ANSWER}))),
    "content as a number": Body(chat(said(7)), content="7", conclusion="7"),
    "a refusal": Body(
        chat(said(None, refusal="I cannot help.")),
        content="I cannot help.",
        conclusion="I cannot help.",
    ),
    "a refusal as a part": Body(
        chat(said([{"type": "refusal", "refusal": "I cannot help."}])),
        content="I cannot help.",
        conclusion="I cannot help.",
    ),
    "spoken": Body(chat(said(None, audio={"id": "a", "data": "UklGRg==", "transcript": ANSWER}))),
    "tool calls alone": Body(
        chat(said(None, tool_calls=[CALL]), "tool_calls"),
        content=None,
        conclusion=None,
        unread=json.dumps({"tool_calls": [CALL]}),
    ),
    "a function call, old": Body(
        chat(said(None, function_call=CALL["function"]), "function_call"),
        content=None,
        conclusion=None,
        unread=json.dumps({"function_call": CALL["function"]}),
    ),
    "tool calls beside text": Body(
        chat(said(tool_calls=[CALL]), "tool_use"), unread=json.dumps({"tool_calls": [CALL]})
    ),
    "reasoning": Body(chat(said(reasoning=THOUGHT)), reasoning=THOUGHT),
    "reasoning_content": Body(chat(said(reasoning_content=THOUGHT)), reasoning=THOUGHT),
    "both, equal": Body(
        chat(said(reasoning=THOUGHT, reasoning_content=f"{THOUGHT}\n")), reasoning=THOUGHT
    ),
    "both, different": Body(
        chat(said(reasoning="A summary.", reasoning_content=THOUGHT)),
        reasoning=f"A summary.\n\n{THOUGHT}",
    ),
    "OpenRouter, details beside reasoning": Body(
        chat(said(reasoning=THOUGHT, reasoning_details=DETAILS)), reasoning=THOUGHT
    ),
    "OpenRouter, details alone": Body(
        chat(said(reasoning=None, reasoning_details=DETAILS)), reasoning=THOUGHT
    ),
    "OpenRouter, encrypted": Body(
        chat(said(reasoning_details=[{"type": "reasoning.encrypted", "data": "eA=="}])),
        reasoning="",
        unread=json.dumps({"type": "reasoning.encrypted", "data": "eA=="}),
    ),
    "thinking inside the content": Body(
        chat(said(f"<think>{THOUGHT}</think>\n{ANSWER}")),
        content=f"<think>{THOUGHT}</think>\n{ANSWER}",
    ),
    "thinking inside the content and beside it": Body(
        chat(said(f"<think>\n{THOUGHT}\n</think>{ANSWER}", reasoning_content=THOUGHT)),
        content=f"<think>\n{THOUGHT}\n</think>{ANSWER}",
    ),
    "reasoning alone": Body(
        chat(said(None, reasoning=THOUGHT)), content=None, reasoning=THOUGHT, conclusion=None
    ),
    "a text completion": Body(
        {"object": "text_completion", "choices": [{"text": ANSWER, "finish_reason": "stop"}],
         "usage": {"completion_tokens": 5}}
    ),
    "HF, generated_text": Body(
        [{"generated_text": ANSWER}], finish_said="missing", completion_tokens=None
    ),
    "log probabilities alone": Body(chat(said(None), logprobs=LOGPROBS)),
    "a delta that was not streamed": Body(
        {"choices": [{"delta": said(), "finish_reason": "stop"}],
         "usage": {"completion_tokens": 5}}
    ),
    "a message that is a text": Body(
        {"choices": [{"message": ANSWER, "finish_reason": "stop"}],
         "usage": {"completion_tokens": 5}}
    ),
    # Other interfaces behind the same route.
    "Baidu": Body(
        {"id": "x", "result": ANSWER, "finish_reason": "normal", "usage": {"completion_tokens": 5}}
    ),
    "MiniMax": Body(
        {"choices": [{"messages": [{"text": ANSWER, "sender_type": "BOT"}],
                      "finish_reason": "stop"}], "usage": {"completion_tokens": 5}}
    ),
    "Cloudflare": Body(
        {"result": {"response": ANSWER}, "success": True, "errors": [], "messages": []},
        finish_said="missing", completion_tokens=None,
    ),
    "Watsonx": Body(
        {"results": [{"generated_text": ANSWER, "stop_reason": "eos_token"}]},
        completion_tokens=None,
    ),
    "Bedrock, converse": Body(
        {"output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": THOUGHT}}}, {"text": ANSWER}]}},
         "stopReason": "max_tokens", "usage": {"inputTokens": 11, "outputTokens": 5}},
        reasoning=THOUGHT, finish_reason="length",
    ),
    "AI21": Body(
        {"completions": [{"data": {"text": ANSWER}, "finishReason": {"reason": "endoftext"}}]},
        completion_tokens=None,
    ),
    "llama.cpp, its own": Body(
        {"content": ANSWER, "stop": True, "stop_type": "eos", "tokens_predicted": 5},
        finish_said="missing", completion_tokens=None,
    ),
    "DashScope, its own": Body(
        {"output": {"choices": [{"message": said(reasoning_content=THOUGHT),
                                 "finish_reason": "stop"}]},
         "usage": {"input_tokens": 11, "output_tokens": 5}},
        reasoning=THOUGHT,
    ),
    "wrapped by a gateway": Body(
        {"code": 200, "message": "success", "data": chat(said())}, completion_tokens=None
    ),
    "a thought under another name": Body(
        chat(said(reasoning={"content": THOUGHT, "tokens": 5})), reasoning=THOUGHT
    ),
    "citations among the parts": Body(
        chat(said([part(ANSWER), {"type": "reference", "reference_ids": [1]}])),
        unread=json.dumps({"type": "reference", "reference_ids": [1]}),
    ),
    "nothing": Body(chat(said(None)), content=None, conclusion=None),
    "no content field": Body(chat({"role": "assistant"}), content=None, conclusion=None),
}  # fmt: skip


def events(*chunks: Any, done: bool = True) -> bytes:
    """A stream of events as OpenAI sends it."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n" if done else ""]).encode()


def delta(finish_reason: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}],
    }


USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}

STREAMS: dict[str, Body] = {
    "OpenAI": Body(
        events(
            delta(role="assistant", content=""),
            delta(content="The answer "),
            delta(content="is \\boxed{7}."),
            delta("stop"),
            USAGE,
        )
    ),
    "vLLM, with reasoning": Body(
        events(delta(reasoning="Three and "), delta(reasoning="four make seven."),
               delta(content=ANSWER), delta("stop"), USAGE),
        reasoning=THOUGHT,
    ),
    "both reasoning fields in every chunk": Body(
        events(
            *(delta(reasoning=t, reasoning_content=t) for t in ("Three and ", "four make seven.")),
            delta(content=ANSWER), delta("stop"), USAGE,
        ),
        reasoning=THOUGHT,
    ),
    "OpenRouter, with comments and details": Body(
        b": OPENROUTER PROCESSING\n\n"
        + events(
            delta(reasoning=None, reasoning_details=[part("Three and ", "reasoning.text")]),
            delta(reasoning_details=[part("four make seven.", "reasoning.text")]),
            delta(content=ANSWER), delta("stop"), USAGE,
        ),
        reasoning=THOUGHT,
    ),
    "Magistral": Body(
        events(
            delta(content=[{"type": "thinking", "thinking": [part("Three and ")]}]),
            delta(content=[{"type": "thinking", "thinking": [part("four make seven.")]}]),
            delta(content=ANSWER), delta("stop"), USAGE,
        ),
        reasoning=THOUGHT,
    ),
    "no usage, no mark at the end": Body(
        events(delta(content=ANSWER), delta("stop"), done=False), completion_tokens=None
    ),
    "the mark and no finish reason": Body(
        events(delta(content=ANSWER), USAGE), finish_said="missing"
    ),
    "carriage returns, and no blank lines": Body(
        events(delta(content=ANSWER), delta("stop"), USAGE)
        .replace(b"\n\n", b"\r\n")
    ),
    "a null as a word until the end": Body(
        events(delta("null", content="The answer "), delta("null", content="is \\boxed{7}."),
               delta("stop"), USAGE)
    ),
    "the message once more in the last event": Body(
        events(delta(content=ANSWER),
               {"choices": [{"index": 0, "delta": {"content": ""}, "message": said(),
                             "finish_reason": "stop"}]}, USAGE)
    ),
    "Anthropic's own": Body(
        b"event: message_start\n" + events(
            {"type": "message_start", "message": {"id": "m", "model": "m", "content": []}},
            {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": THOUGHT}},
            {"type": "content_block_delta", "delta": {"type": "signature_delta", "signature": "s"}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ANSWER}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
             "usage": {"output_tokens": 5}},
            {"type": "message_stop"}, done=False,
        ),
        reasoning=THOUGHT,
        unread=json.dumps({"type": "signature_delta", "signature": "s"}),
    ),
    "OpenAI, responses": Body(
        events({"type": "response.reasoning_text.delta", "delta": THOUGHT},
               {"type": "response.output_text.delta", "delta": "The answer "},
               {"type": "response.output_text.delta", "delta": "is \\boxed{7}."}),
        reasoning=THOUGHT, finish_said="missing", completion_tokens=None,
    ),
    "Gemini's own": Body(
        events({"candidates": [{"content": {"parts": [{"text": THOUGHT, "thought": True}]}}]},
               {"candidates": [{"content": {"parts": [{"text": ANSWER}]}, "finishReason": "STOP"}]},
               done=False),
        reasoning=THOUGHT, completion_tokens=None,
    ),
    "another choice between": Body(
        events(delta(content=ANSWER),
               {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": None}]},
               delta("stop"), USAGE)
    ),
}  # fmt: skip

"""The context window budget: what fits is known, by token count, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from pacore.problem import Turn

TEMPLATE_TOKENS_A_TURN = 64
"""Generous bound on what a chat template adds around one turn, in tokens."""

MIN_COMPLETION_TOKENS = 1


def prompt_tokens_bound(turns: Sequence[Turn]) -> int:
    """Upper bound of a prompt's tokens: no byte-level tokenizer makes more tokens than bytes."""
    text_bytes = sum(len(turn.content.encode("utf-8")) for turn in turns)
    return text_bytes + TEMPLATE_TOKENS_A_TURN * (len(turns) + 2)


def overflow(prompt_tokens: int, max_tokens: int | None, window_tokens: int | None) -> str | None:
    """Say by how much a request would not fit, or None if it fits or the window is unknown."""
    if window_tokens is None:
        return None
    wanted = max_tokens or MIN_COMPLETION_TOKENS
    if prompt_tokens + wanted <= window_tokens:
        return None
    return (
        f"{prompt_tokens} prompt tokens and {wanted} to generate do not fit "
        f"a window of {window_tokens}"
    )

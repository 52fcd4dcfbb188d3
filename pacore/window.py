"""The context window budget: what fits is known, by token count, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def fits_window(
    turns: Sequence[Turn],
    max_tokens: int | None,
    window_tokens: int | None,
    count_tokens: Callable[[], int | None],
) -> bool:
    """Whether a prompt and what it asks for fit; counted only where a bound does not settle it.

    What nobody can count is taken to fit: the server has the last word.
    """
    if overflow(prompt_tokens_bound(turns), max_tokens, window_tokens) is None:
        return True
    tokens = count_tokens()
    return tokens is None or overflow(tokens, max_tokens, window_tokens) is None


def most_that_fit(messages: int, fits: Callable[[int], bool]) -> int | None:
    """The largest n in 1…``messages`` for which ``fits(n)``, found by halving; None without one.

    A prompt with fewer messages is shorter, so whatever fits, every smaller number fits too.
    """
    if messages < 1 or not fits(1):
        return None
    least, most = 1, messages
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least

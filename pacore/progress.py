"""Counters of a run in progress, fed by the stages and read by whoever shows them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Progress:
    """How far a run is in this process. Trajectories count once, whichever way they were settled.

    ``reused`` came from the store, ``generated`` were sampled now, ``unfinished`` are tombstones;
    ``completion_tokens`` are those generated now. ``notices`` are lines for a person, each handed
    to ``listener`` at once where there is one. Safe to use from several threads.
    """

    planned: int = 0
    reused: int = 0
    generated: int = 0
    unfinished: int = 0
    completion_tokens: int = 0
    engine: str = ""
    finished_seconds: float | None = None
    notices: list[str] = field(default_factory=list)
    listener: Callable[[str], None] | None = None
    started: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(
        self,
        *,
        planned: int = 0,
        reused: int = 0,
        generated: int = 0,
        unfinished: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        with self._lock:
            self.planned += planned
            self.reused += reused
            self.generated += generated
            self.unfinished += unfinished
            self.completion_tokens += completion_tokens

    def say(self, notice: str) -> None:
        """Tell the person who waits for the run a line."""
        with self._lock:
            self.notices.append(notice)
        if self.listener is not None:
            self.listener(notice)

    @property
    def settled(self) -> int:
        return self.reused + self.generated + self.unfinished

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def tokens_a_second(self) -> float:
        return self.completion_tokens / max(self.elapsed_seconds, 1e-9)

    def line(self) -> str:
        """One line for a log or an artifact."""
        parts = [f"{self.settled}/{self.planned} trajectories", f"{self.reused} reused"]
        if self.unfinished:
            parts.append(f"{self.unfinished} unfinished")
        parts.append(f"{self.completion_tokens} tokens")
        if self.generated:
            parts.append(f"{self.tokens_a_second:.0f} tokens/s")
        return ", ".join(parts)


@dataclass
class GradingProgress(Progress):
    """How far gradings are in this process: ``reused`` trajectories had their verdicts before.

    ``decided`` counts the different answers that were graded now, ``known`` those whose verdict the
    run had already.
    """

    decided: int = 0
    known: int = 0

    def add_answers(self, *, decided: int = 0, known: int = 0) -> None:
        with self._lock:
            self.decided += decided
            self.known += known

    def line(self) -> str:
        parts = [f"{self.settled}/{self.planned} trajectories", f"{self.decided} answers graded"]
        return ", ".join([*parts, f"{self.known} known"])

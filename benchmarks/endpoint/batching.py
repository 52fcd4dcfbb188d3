"""Continuous batching as vLLM does it, as a process of events: no step is simulated one by one.

Every running request gets one token a step, and a step takes longer the more of them run, so between two
events (a request arrives, ends, or memory is full) all of them proceed at one known rate. *Service* is the
number of tokens that a request would have been given since the start; a request ends when the service
reaches what it was at its admission plus its length.

Times are in seconds of any clock; the caller gives them. Pure.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Speed:
    """What a server is capable of.

    A step takes ``step_seconds`` and ``sequence_seconds`` more for each running request; a prompt token
    that no cache holds takes ``prefill_seconds``. At most ``slots`` requests run, and at most
    ``memory_tokens`` tokens of prompts and completions are held; 0 is no limit. ``has_priority``: waiting
    requests are admitted by their priority, the smallest first, and the largest is preempted where memory
    is full; otherwise in order of arrival. The prefix cache holds whole blocks of ``block_tokens``, and
    never a prompt's last token; 0: all of a prompt.
    """

    slots: int = 96
    step_seconds: float = 0.002
    sequence_seconds: float = 0.0
    prefill_seconds: float = 0.0
    memory_tokens: int = 0
    has_priority: bool = False
    block_tokens: int = 0

    def uncached_tokens(self, prompt_tokens: int) -> int:
        """Tokens of a prompt that are computed although another one like it was."""
        block = self.block_tokens
        return prompt_tokens - (prompt_tokens - 1) // block * block if block else 0

    def rate(self, running: int) -> float:
        """Tokens a second of each of so many running requests."""
        return 1.0 / (self.step_seconds + self.sequence_seconds * running)

    @property
    def tokens_per_second(self) -> float:
        """Of all slots together, when all are taken."""
        return self.slots * self.rate(self.slots)


@dataclass(slots=True, eq=False)
class Job:
    """A request: tokens of its prompt, of its completion, and what it has come to.

    ``prefix`` names its prompt for the prefix cache. ``done`` is how many tokens it had been given when it
    was last preempted, and ``until`` the service at which it ends.
    """

    prompt_tokens: int
    length: int
    prefix: str = ""
    priority: int = 0
    arrived: float = 0.0
    started: float | None = None
    ended: float | None = None
    done: int = 0
    preemptions: int = 0
    until: float = 0.0
    ticket: int = 0

    @property
    def order(self) -> tuple[int, int]:
        return self.priority, self.ticket


@dataclass(slots=True)
class Batching:
    """The requests of one server. `submit`, `cancel` and `ended` are called with times that never fall."""

    speed: Speed
    service: float = 0.0
    now: float = 0.0
    generated_tokens: float = 0.0
    preemptions: int = 0
    slowed: float = 1.0
    _running: list[tuple[float, int, Job]] = field(default_factory=list)
    _waiting: list[tuple[tuple[int, int], Job]] = field(default_factory=list)
    _stall: float = 0.0
    _cached: set[str] = field(default_factory=set)
    _tickets: int = 0
    _held: float = 0.0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def submit(self, job: Job, now: float) -> None:
        """Add a request that arrives now."""
        self.advance(now)
        self._tickets += 1
        job.ticket, job.arrived = self._tickets, now
        self._queue(job)
        self._admit()

    def cancel(self, job: Job, now: float) -> None:
        """Drop a request, as a server does whose client has closed the connection."""
        self.advance(now)
        before = len(self._running)
        self._running = [one for one in self._running if one[2] is not job]
        self._waiting = [one for one in self._waiting if one[1] is not job]
        heapq.heapify(self._running)
        heapq.heapify(self._waiting)
        if len(self._running) < before:
            self._held -= job.prompt_tokens + self._given(job)
        self._admit()

    def slow_down(self, factor: float, now: float) -> None:
        """Take so many times as long for each step from now on."""
        self.advance(now)
        self.slowed *= factor

    def next_event(self) -> float | None:
        """When something ends or memory is full, if nothing arrives before; None where nothing runs."""
        if not self._running:
            return None
        tokens = max(0.0, self._running[0][0] - self.service)
        if self.speed.memory_tokens:
            room = max(0.0, self.speed.memory_tokens - self._held) / len(self._running)
            tokens = min(tokens, max(room, 1.0))
        return self.now + self._stall + tokens / self._rate()

    def ended(self, now: float) -> list[Job]:
        """The requests that have ended by now, in the order of their ends."""
        self.advance(now)
        ended = []
        while self._running and self._running[0][0] <= self.service + 1e-6:
            _, _, job = heapq.heappop(self._running)
            job.ended, job.done = now, job.length
            self._held -= job.prompt_tokens + job.length
            ended.append(job)
        self._preempt()
        self._admit()
        return ended

    def _rate(self) -> float:
        return self.speed.rate(len(self._running)) / self.slowed

    def advance(self, now: float) -> None:
        """Give the running requests what they are due by now."""
        elapsed, self.now = now - self.now, now
        if not self._running:
            self._stall = 0.0
            return
        stalled = min(elapsed, self._stall)
        self._stall -= stalled
        tokens = (elapsed - stalled) * self._rate()
        self.service += tokens
        self.generated_tokens += tokens * len(self._running)
        self._held += tokens * len(self._running)

    def _queue(self, job: Job) -> None:
        order = job.order if self.speed.has_priority else (0, job.ticket)
        heapq.heappush(self._waiting, (order, job))

    def _fits(self, job: Job) -> bool:
        if len(self._running) >= self.speed.slots:
            return False
        memory = self.speed.memory_tokens
        return not memory or not self._running or self._held + job.prompt_tokens + job.done < memory

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][1]):
            _, job = heapq.heappop(self._waiting)
            if job.started is None:
                job.started = self.now
            is_cached = job.prefix in self._cached
            prompt = (
                self.speed.uncached_tokens(job.prompt_tokens) if is_cached else job.prompt_tokens
            )
            uncached = job.done + prompt
            if job.prefix:
                self._cached.add(job.prefix)
            # All requests wait while a prompt is computed.
            self._stall += uncached * self.speed.prefill_seconds * self.slowed
            job.until = self.service + job.length - job.done
            self._held += job.prompt_tokens + job.done
            heapq.heappush(self._running, (job.until, job.ticket, job))

    def _given(self, job: Job) -> int:
        return max(0, job.length - round(job.until - self.service))

    def _preempt(self) -> None:
        """Send requests back to wait until memory suffices, the last to arrive first."""
        memory = self.speed.memory_tokens
        while memory and len(self._running) > 1 and self._held >= memory:
            _, _, job = last = max(self._running, key=lambda one: one[2].order)
            self._running.remove(last)
            heapq.heapify(self._running)
            given = self._given(job)
            self._held -= job.prompt_tokens + given
            job.done = given
            job.preemptions += 1
            self.preemptions += 1
            self._queue(job)

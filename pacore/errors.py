"""Every error pacore raises on purpose, and the exit codes of its commands.

    PacoreError                 1   something the message explains
    ├── BadInput                2   a file, line, field or flag is wrong; nothing was written
    ├── Refused                 2   the request is clear, and doing it would be harmful
    │   └── DoesNotFit          2   what stored trajectories show not to fit into its budget
    ├── StoreError              1   the store cannot be used, or holds something unusable
    │   └── StoreFull           1   its disk takes no more; the same command goes on once it does
    ├── ChecksFailed            1   stored rows break invariants; nothing was reported
    ├── EngineUnavailable       1   no endpoint answers, or none takes what the run sends
    ├── ServerUnavailable       1   no Prefect server answers where one is expected
    ├── HomeUnusable            1   the folder of logs and server records cannot be written
    ├── LimitReached            1   a query needs more memory or time than it may take
    ├── BudgetSpent             5   a run's budget is spent; a larger one goes on
    └── Interrupted           130   stopped by a person; the same command resumes the run

One bad *trajectory* is never one of these: it is a row with a finish reason.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes of every command: the one table of them, each with its ``meaning``.

    Which of 1 and 2 an error is follows from what has to be changed. 2: the command line, or a file
    that it names; nothing was written to the store. 1: something else, such as an endpoint, a
    server, a disk or the store; what was finished is kept, and the same command resumes once it works.
    """

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    COMPLETE = 0, "complete"
    FAULT = (
        1,
        "something other than the input failed: an endpoint, a server, a disk, the store, a check",
    )
    REFUSED = 2, "bad input, or refused; nothing was generated"
    FAILED_PROBLEMS = 3, "completed, and some problems failed; each is named"
    NO_GO = 4, "NO-GO, of `compare --gate` or of a night; every reason is named"
    BUDGET_SPENT = (
        5,
        "incomplete: the run's budget is spent; the same command with a larger one goes on",
    )
    INTERRUPTED = 130, "interrupted by Ctrl-C or SIGTERM; the same command resumes"


class PacoreError(Exception):
    """Base of all errors raised on purpose; ``str()`` is one line for a person."""

    exit_code = Exit.FAULT


class BadInput(PacoreError):
    """Input that cannot be used, named by file, line or field."""

    exit_code = Exit.REFUSED


class Refused(PacoreError):
    """A request that was understood and declined, with the reason."""

    exit_code = Exit.REFUSED


class DoesNotFit(Refused):
    """What is expected to need more than its budget, before anything of it is generated."""


class StoreError(PacoreError):
    """The store cannot be used, or holds or returned something that breaks its own rules."""


class StoreFull(StoreError):
    """The disk of the store takes no more; everything finished so far is in the store."""


class ChecksFailed(PacoreError):
    """Rows that break an invariant, so that no number may be made of them."""


class LimitReached(PacoreError):
    """A query that needs more memory or more time than it was given."""


class BudgetSpent(PacoreError):
    """The budget of a run is spent before it is complete; everything finished so far is in the store.

    ``whose`` it is where several runs share it, such as ``the night's``; empty where it is its own.
    """

    exit_code = Exit.BUDGET_SPENT

    def __init__(self, message: str, whose: str = "") -> None:
        super().__init__(message)
        self.whose = whose


class EngineUnavailable(PacoreError):
    """No engine takes the requests of a run; what was generated before is in the store."""


class ServerUnavailable(PacoreError):
    """No Prefect server answers where one is expected, or it stopped answering."""


class HomeUnusable(PacoreError):
    """The folder in which pacore keeps logs and server records cannot be written."""


class Interrupted(PacoreError):
    """The run was stopped from outside; everything finished so far is in the store."""

    exit_code = Exit.INTERRUPTED

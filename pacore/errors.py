"""Every error pacore raises on purpose, and the exit code a command ends with.

    PacoreError                 1   something the message explains
    ├── BadInput                2   a file, line, field or flag is wrong; nothing was written
    ├── Refused                 2   the request is clear, and doing it would be harmful
    ├── StoreError              1   the store answered with something unusable
    ├── ChecksFailed            1   stored rows break invariants; nothing was reported
    ├── LimitReached            1   a query needs more memory or time than it may take
    ├── EngineUnavailable       2   no endpoint answers, or the model is not served
    └── Interrupted           130   stopped by a person; the same line goes on

One bad *trajectory* is never one of these: it is a row with a finish reason.
"""

from __future__ import annotations


class PacoreError(Exception):
    """Base of all errors raised on purpose; ``str()`` is one line for a person."""

    exit_code = 1


class BadInput(PacoreError):
    """Input that cannot be used, named by file, line or field."""

    exit_code = 2


class Refused(PacoreError):
    """A request that was understood and declined, with the reason."""

    exit_code = 2


class StoreError(PacoreError):
    """The store holds or returned something that breaks its own rules."""


class ChecksFailed(PacoreError):
    """Rows that break an invariant, so that no number may be made of them."""


class LimitReached(PacoreError):
    """A query that needs more memory or more time than it was given."""


class EngineUnavailable(PacoreError):
    """No engine can take requests: nothing was generated and nothing was lost."""

    exit_code = 2


class Interrupted(PacoreError):
    """The run was stopped from outside; everything finished so far is in the store."""

    exit_code = 130

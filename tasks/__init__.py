"""Prefect tasks: one a noun, each a thin wrapper that gives a stage its place in the graph.

Whoever imports a task or a flow imports Prefect here first, which reads its settings as it is imported.
"""

import io
import os
import sys
from contextlib import redirect_stderr

from pydantic import ValidationError

from pacore.core.validation import first_fault
from pacore.errors import ServerUnavailable
from pacore.proxies import keep_loopback_direct

# A worker starts flows in processes of their own, which no command of pacore has prepared. Prefect
# reads the proxy variables as it is imported.
keep_loopback_direct(os.environ)

_said = io.StringIO()


try:
    with redirect_stderr(_said):
        import prefect.context  # noqa: F401 - for what it raises
except ValueError as wrong:  # as pydantic.ValidationError and tomllib.TOMLDecodeError are
    why = str(wrong)
    if isinstance(wrong, ValidationError):
        why = f"{wrong.title}: {first_fault(wrong)}"
    raise ServerUnavailable(
        f"Prefect's settings cannot be read: {why}; they come from PREFECT_… variables, the Prefect "
        "profile, and .env, prefect.toml or pyproject.toml here"
    ) from None


sys.stderr.write(_said.getvalue())

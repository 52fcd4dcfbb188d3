"""What inference servers say of themselves in the Prometheus format, read. Pure."""

from __future__ import annotations

import math
import re

_GENERATED = re.compile(
    r"^(?:vllm:generation_tokens_total|sglang:generation_tokens_total|llamacpp:tokens_predicted_total)"
    r"(?:\{[^\n]*\})? +(\S+)",
    re.MULTILINE,
)


def generated_tokens(metrics: str) -> int | None:
    """Tokens generated since the server started, all engines and models together; None where the
    text does not say.
    """
    try:
        counts = [float(found) for found in _GENERATED.findall(metrics)]
    except ValueError:
        return None
    total = sum(counts)
    return int(total) if counts and math.isfinite(total) else None

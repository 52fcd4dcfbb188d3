"""The strategies beyond the paper's, as fields of a configuration, for the tests that go through all."""

from __future__ import annotations

from typing import Any

STRATEGIES: dict[str, dict[str, Any]] = {
    "answers alone": {"compaction": "answer"},
    "summaries": {"compaction": "summary", "summary_tokens": 16},
    "subsets": {"subset": 2},
    "a workspace": {"workspace_tokens": 16},
    "summaries in subsets": {"compaction": "summary", "summary_tokens": 16, "subset": 2},
    "a workspace of summaries": {
        "compaction": "summary",
        "summary_tokens": 16,
        "workspace_tokens": 24,
    },
    "a workspace of whole trajectories": {"compaction": "verbatim", "workspace_tokens": 16},
    "a workspace of answers": {"compaction": "answer", "workspace_tokens": 24},
}
"""The bounds cut some texts of `UNEVEN` after its thinking and spare others."""

UNEVEN = "scripted?words=12&truncate=0.2&empty=0.1"
UNTHINKING = "scripted?words=0&empty=0.1"
"""Thinks nothing, so that a bound cuts what it says itself."""

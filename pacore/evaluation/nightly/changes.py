"""What is different between a night and the first of its baseline: each change, and what it is a change of.

Settings are compared by the identity of both runs, servers by the facts that they reported at first,
problems and graders by what the ledger has of both nights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pacore.core.config.run import differences
from pacore.engine.watch import FirstFacts
from pacore.errors import Refused
from pacore.store.backends.protocol import Backend
from pacore.store.run import Run, open_run
from pacore.store.schema import NightScore

_APART = ("recipe.seed_root", "problem_set")
"""Each night samples anew, which is no cause; of problems more is known than the digest of their set."""

_CAUSES = {
    "recipe.model": "model",
    "recipe.revision": "model",
    "recipe.tokenizer": "model",
    "recipe.engine_options": "model",
    "server.served_model": "model",
    "server.fingerprint": "model",
    "server.model_root": "model",
    "server.": "server",
    "recipe.system": "prompt",
    "recipe.chat_template_options": "prompt",
    "template": "prompt",
    "summary_template": "prompt",
    "workspace_template": "prompt",
    "recipe.": "sampling",
    "plan.": "plan",
    "pacore": "program",
}
"""What a change is a change of, by how the name of its field begins; the first that does."""

_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


@dataclass(frozen=True, slots=True)
class NightRuns:
    """A night, or an accepted run: its name, the runs it has made, and what its problems came to."""

    name: str
    runs: Sequence[str]
    scores: Sequence[NightScore]

    @property
    def parts(self) -> dict[str, str]:
        """Its runs by what their names have after that of the night."""
        return {run.removeprefix(self.name): run for run in self.runs}

    @property
    def graders(self) -> str:
        return ", ".join(sorted({version for row in self.scores for version in row.graders}))

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each problem's text and gold."""
        return {row.problem_id: row.content_digest for row in self.scores}


def changes(store: Backend, before: NightRuns, after: NightRuns) -> Iterator[str]:
    """What is different: settings, model and server, problems, grader and program, a line each.

    Of nights with arms the runs are compared that were made alike. Raises StoreError.
    """
    found: list[str] = []
    is_other_set = False
    for part, name in after.parts.items():
        if part not in before.parts:
            continue
        try:
            old, new = open_run(store, before.parts[part]), open_run(store, name)
        except Refused:
            found.append(f"not known: run {before.parts[part]} of the baseline is gone")
            continue
        found += map(_with_cause, _between(store, old, new))
        is_other_set |= old.problem_set != new.problem_set
    yield from dict.fromkeys(found)
    if is_other_set:
        yield f"problem set: {_changed_problems(before.digests, after.digests)}"
    if before.graders != after.graders:
        yield f"grader: {before.graders} -> {after.graders}"


def _between(store: Backend, old: Run, new: Run) -> Iterator[str]:
    for change in differences(old.identity, new.identity):
        if not change.startswith(_APART):
            yield change
    server, now = (dict(FirstFacts(store, run.run_id).read()) for run in (old, new))
    yield from differences(server, now, "server.")
    yield from differences({"pacore": _version(old)}, {"pacore": _version(new)})


def _with_cause(change: str) -> str:
    cause = next((cause for start, cause in _CAUSES.items() if change.startswith(start)), None)
    field, _, values = change.partition(": ")
    short = _DIGEST.sub(r"\1…", values)
    return f"{cause} ({field}): {short}" if cause else f"{field}: {short}"


def _changed_problems(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    counts = {
        "changed": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        "new": len(after.keys() - before.keys()),
        "gone": len(before.keys() - after.keys()),
    }
    if not any(counts.values()):
        return "the same texts and golds, another order or other metadata"
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _version(run: Run) -> object:
    return run.producer.get("git_revision") or run.producer.get("pacore")

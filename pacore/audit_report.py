"""What an audit found, a line each as it is found, or as one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pacore.audit.audit import Audit
from pacore.audit.finding import Finding
from pacore.text import visible_json

MEBIBYTE = 1024 * 1024


class AuditReport:
    """Prints an audit in pieces. ``counts`` has errors and warnings once all pieces are out.

    At most ``limit`` findings are shown; all are counted.
    """

    def __init__(self, audit: Audit, run_id: str, limit: int) -> None:
        self._audit = audit
        self._run_id = run_id
        self._limit = limit
        self.counts: Counter[str] = Counter()

    def _shown(self) -> Iterator[Finding]:
        for finding in self._audit.findings():
            self.counts[finding.severity] += 1
            if self.counts.total() <= self._limit:
                yield finding

    def text(self) -> Iterator[str]:
        """Lines of text, without their line breaks."""
        for finding in self._shown():
            yield str(finding)
        if (more := self.counts.total() - self._limit) > 0:
            yield f"… and {more:,} more; --limit shows more"
        tally = self._audit.tally
        yield (
            f"checked {tally.files:,} files ({tally.bytes / MEBIBYTE:,.1f} MiB) against "
            f"{tally.commits:,} commits, {tally.trajectories:,} trajectories against "
            f"{tally.journal_entries:,} journal entries, {tally.prompts:,} prompts, "
            f"{tally.texts:,} texts, {tally.messages:,} messages, {tally.answers:,} answers, "
            f"{tally.scores:,} scores, {tally.verdicts:,} verdicts, {tally.invariants:,} invariants"
        )
        errors, warnings = self.counts["error"], self.counts["warning"]
        found = f"{errors:,} error{'' if errors == 1 else 's'}" if errors else "nothing is wrong"
        also = f", {warnings:,} warning{'' if warnings == 1 else 's'}" if warnings else ""
        yield f"run {self._run_id}: {found}{also}"

    def json(self) -> Iterator[str]:
        """One object: what was wrong, the findings shown, and what was looked at."""
        findings = [finding.as_json() for finding in self._shown()]
        record = {
            "run_id": self._run_id,
            "errors": self.counts["error"],
            "warnings": self.counts["warning"],
            "findings": findings,
            "checked": self._audit.tally.as_json(),
        }
        yield visible_json(record)

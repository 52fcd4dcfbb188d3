"""An explanation to read, or as JSON: prompts byte for byte, and nothing in them that can act.

In the text every line of a prompt stands behind a bar, so that no prompt can pass for a heading,
and what could steer a terminal is written out. JSON has the same data without a doubt about what
was written out and what was there.

What an audit found, a line each as it is found, or as one JSON object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pacore.audit.audit import Audit
from pacore.audit.finding import Finding
from pacore.audit.lineage import AttemptRecord, Explanation, Lineage, Prompt, RoundStep, Source
from pacore.core.identity import sha256_hex
from pacore.report.problem import round_heading
from pacore.report.rendering.sheet import ABSENT, number
from pacore.store.run import headline
from pacore.text import visible, visible_json

BAR = "│ "


def explanation_text(explanation: Explanation) -> str:
    """Everything, last round first, a fact a line; lines are as long as they are."""
    return "\n".join(_lines(explanation))


def explanation_json(explanation: Explanation) -> str:
    """The same as one JSON object on one line."""
    run, problem = explanation.run, explanation.problem
    record = {
        "run_id": run.run_id,
        "problem_id": problem.problem_id,
        "problem_set": run.problem_set,
        "shard": explanation.shard,
        "gold": problem.gold,
        "lineages": [asdict(lineage) for lineage in explanation.lineages],
    }
    return visible_json(_jsonable(record))


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _jsonable(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _lines(explanation: Explanation) -> Iterator[str]:
    run, problem = explanation.run, explanation.problem
    yield visible(f"problem {problem.problem_id} · {headline(run)}")
    yield f"problem set {run.problem_set} · shard {explanation.shard}"
    for lineage in explanation.lineages:
        yield ""
        yield from _lineage(explanation, lineage)


def _lineage(explanation: Explanation, lineage: Lineage) -> Iterator[str]:
    if explanation.run.plan.replicates > 1:
        yield f"replicate {lineage.replicate}"
    yield from _answer(lineage)
    for step in lineage.rounds:
        yield ""
        yield from _round(explanation, step)


def _answer(lineage: Lineage) -> Iterator[str]:
    row = lineage.answer
    if row is None:
        yield "no answer yet"
        return
    if row.status == "answered":
        yield visible(f"answer {row.answer} ({row.method}) ← trajectory {row.trajectory_id}")
    else:
        yield visible(f"answer {ABSENT} {row.status.replace('_', ' ')}: {row.reason}")
    if lineage.answer_source:
        yield from _source("answers", lineage.answer_source)
    if lineage.final_text is not None:
        yield "  the message it was read from"
        yield from _barred(lineage.final_text)


def _source(table: str, source: Source) -> Iterator[str]:
    yield f"  {table} in {visible(source.file)}"
    yield f"  committed by {source.commit}"


def _round(explanation: Explanation, step: RoundStep) -> Iterator[str]:
    plan = explanation.run.plan
    yield round_heading(plan, step.round)
    yield from _source("trajectories", step.trajectories)
    if step.messages:
        yield from _source("messages", step.messages)
    for prompt in step.prompts:
        for attempt in prompt.attempts:
            yield from _attempt(explanation, attempt)
        yield from _prompt(step.round, prompt)


def _attempt(explanation: Explanation, attempt: AttemptRecord) -> Iterator[str]:
    row = attempt.row
    yield visible(f"  slot {row.slot} attempt {row.attempt} · {row.trajectory_id}")
    tokens = f"{number(row.prompt_tokens)} prompt and {number(row.completion_tokens)}"
    facts = [
        f"seed {row.seed}",
        f"draw {row.draw}",
        row.finish_reason,
        f"conclusion {row.conclusion_status}",
        f"{tokens} completion tokens",
    ]
    yield visible(f"    {' · '.join(facts)}")
    yield visible(f"    {_provenance(explanation.run.run_id, attempt)}")
    if row.retry_of:
        limit = row.max_tokens
        with_limit = f" with max_tokens {limit:,}" if limit is not None else ""
        yield visible(f"    retries {row.retry_of}{with_limit}")
    if row.error:
        yield visible(f"    {row.error}")
    handed_on = "no message" if attempt.position is None else f"message {attempt.position}"
    yield f"    {handed_on} of this round · recipe {attempt.recipe_digest}"


def _provenance(run_id: str, attempt: AttemptRecord) -> str:
    """Who had it generated, when and by what, and where its text is."""
    row = attempt.row
    if attempt.first_run_id is None and row.finish_reason == "aborted":
        return "it was not needed, so that nothing is kept of it"
    if attempt.first_run_id is None:
        return f"{attempt.journal} has no entry of it"
    how = "reused from" if attempt.first_run_id != run_id else "generated by"
    who = f"run {attempt.first_run_id}" if attempt.first_run_id != run_id else "this run"
    engine = " ".join(filter(None, (row.engine, row.engine_version)))
    when = f"{row.generated_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{how} {who}, {when}, {engine} · text under {row.text_run_id} · {attempt.journal}"


def _prompt(round_: int, prompt: Prompt) -> Iterator[str]:
    again = f"RENDERED AGAIN: {prompt.rendered_digest}"
    if prompt.rendered_digest is None:
        again = "NOT RENDERED AGAIN: the plan has no such slot"
    elif prompt.digest == prompt.rendered_digest:
        again = "rendered again: the same"
    yield visible(f"  prompt sha256 {prompt.digest} · {again}")
    for position, (trajectory_id, slot) in enumerate(prompt.saw, 1):
        place = f"slot {ABSENT if slot is None else slot} of round {round_ - 1}"
        yield visible(f"  reference {position} ← trajectory {trajectory_id}, {place}")
    for position, turn in enumerate(prompt.turns, 1):
        data = turn.content.encode("utf-8", "surrogatepass")
        named = f"  turn {position} of {len(prompt.turns)} · {turn.role} · {len(data):,} bytes"
        yield f"{named} · sha256 {sha256_hex(data)}"
        yield from _barred(turn.content)


def _barred(text: str) -> Iterator[str]:
    """Every line of a text behind a bar, what could steer a terminal written out."""
    for line in text.split("\n"):
        yield f"{BAR}{visible(line)}"


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
            f"{tally.verdicts:,} verdicts, {tally.invariants:,} invariants"
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

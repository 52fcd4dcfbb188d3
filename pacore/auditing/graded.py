"""The gradings of one shard on trial, round by round and place by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pacore.auditing.finding import Finding
from pacore.auditing.grades import check_grades
from pacore.auditing.rows import Row, aligned
from pacore.auditing.verdicts import Judged, check_verdicts
from pacore.core.grading.choose import gold_answer, is_by_rules
from pacore.core.grading.verdict import VERDICTS
from pacore.store.commits import Commit
from pacore.store.gradings import Grading

if TYPE_CHECKING:
    from pacore.auditing.shard import ShardAudit


def check_graded(audit: ShardAudit, round_: int) -> Iterator[Finding]:
    """Every verdict on a round, where it and what it judges could be read."""
    for commit in audit.trusted("verdicts", round_):
        record = audit.gradings.get(commit.unit.grading)
        if record is not None:
            yield from _check(audit, commit, record.grading)


def _check(audit: ShardAudit, commit: Commit, grading: Grading) -> Iterator[Finding]:
    """One commit of verdicts: its places, its answers graded again, and its counts."""
    round_ = commit.unit.round
    trajectories = audit.stream("trajectories", "trajectories", round_)
    verdicts = audit.files.rows(commit)
    if not trajectories or verdicts is None:
        return
    counted: Counter[str] = Counter()
    graded: list[tuple[Row, str]] = []
    streams = [("planned", audit.planned()), ("verdicts", verdicts), *trajectories]
    for place, rows in aligned(streams):
        found = rows.get("verdicts", [])
        audit.tally.verdicts += len(found)
        counted.update(row["verdict"] for row in found)
        if "planned" not in rows:
            yield from audit.strangers(round_, {"verdicts": found})
            continue
        problem = rows["planned"][0]["problem"]
        judged = (round_, problem, place[1], grading, commit.path)
        yield from check_verdicts(Judged(*judged, rows.get("trajectories", []), found))
        gold = gold_answer(problem)
        if gold is not None and is_by_rules(grading.grader):
            graded += [(row, gold) for row in found]
    yield from check_grades(graded, "verdicts", round_)
    yield from audit.sum_of(commit, {name: counted[name] for name in VERDICTS})

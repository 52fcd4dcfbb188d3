"""The mechanism measures in plain Python over the rows of one run: what the marts must say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pacore.store.backends.protocol import Backend
from pacore.store.commits import standing_files
from pacore.store.parquet import read_rows
from pacore.store.run import open_run
from pacore.store.schema import TABLES
from tests.small_store import Row

Key = tuple[Any, ...]
Table = dict[Key, dict[str, Any]]
"""The rows of a mart by what they are of, the run left out."""


def stored(store: Backend, run_id: str, table: str) -> list[Row]:
    found = []
    for key in standing_files(store, run_id).get(table, []):
        round_ = int(key.split("round=")[1].split("/")[0])
        names = TABLES[table].schema.names
        with store.open(key) as file:
            found += [{**row, "round": round_} for row in read_rows(file, names)]
    return found


@dataclass(frozen=True)
class Shown:
    """A message as it stands in a prompt, with the verdict on its trajectory."""

    position: int
    trajectory_id: str
    text: str
    score: float | None
    is_right: bool
    key: str | None


@dataclass(frozen=True)
class Episode:
    """A trajectory with what it saw, in the order of the prompt, and what of the next replicate."""

    round: int
    problem_id: str
    conclusion: str | None
    verdict: Row
    seen: list[Shown]
    unseen: list[Shown]

    @property
    def is_decided(self) -> bool:
        return self.verdict["score"] is not None and all(m.score is not None for m in self.seen)

    @property
    def is_right(self) -> bool:
        return bool(self.verdict["verdict"] == "correct")

    @property
    def key(self) -> str | None:
        found: str | None = self.verdict["answer_key"]
        return found

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.seen if message.key is not None]

    @property
    def leaders(self) -> list[str]:
        votes = Counter(self.keys)
        return [key for key, count in votes.items() if count == max(votes.values())]

    @property
    def right_leaders(self) -> int:
        return sum(
            fmean(message.is_right for message in self.seen if message.key == key) > 0.5
            for key in self.leaders
        )

    @property
    def right_seen(self) -> int:
        return sum(message.is_right for message in self.seen)


def place(row: Row) -> tuple[int, str, int, int]:
    return (row["round"], row["problem_id"], row["replicate"], row["slot"])


class Oracle:
    """The measures of one run of a store."""

    def __init__(self, store: Backend, run_id: str) -> None:
        self.run = open_run(store, run_id)
        every = stored(store, run_id, "trajectories")
        last = {place(row): row for row in sorted(every, key=lambda row: row["attempt"])}
        self.trajectories = list(last.values())
        self.messages = stored(store, run_id, "messages")
        self.texts = {
            row["trajectory_id"]: row
            for lender in {row["text_run_id"] for row in self.trajectories}
            for row in stored(store, lender, "trajectory_texts")
        }
        verdicts = stored(store, run_id, "verdicts")
        self.is_graded = bool(verdicts)
        by_place = {place(row): row for row in verdicts}
        self.verdicts = {
            key: by_place[key]
            for key, row in last.items()
            if key in by_place and by_place[key]["trajectory_id"] == row["trajectory_id"]
        }
        self.judged = {(*key[:3], row["trajectory_id"]): row for key, row in self.verdicts.items()}
        self.episodes = [one for row in self.trajectories for one in self._episode(row)]

    def step(self, round_: int) -> str:
        return self.run.plan.step(round_).kind

    def _of(self, round_: int, problem_id: str, replicate: int) -> list[Shown]:
        found = []
        for row in self.messages:
            if (row["round"], row["problem_id"], row["replicate"]) == (
                round_,
                problem_id,
                replicate,
            ):
                key = (round_, problem_id, replicate, row["trajectory_id"])
                verdict = self.judged.get(key, {})
                found.append(
                    Shown(
                        row["position"], row["trajectory_id"], row["text"], verdict.get("score"),
                        verdict.get("verdict") == "correct", verdict.get("answer_key"),
                    )
                )  # fmt: skip
        return sorted(found, key=lambda message: message.position)

    def _episode(self, row: Row) -> Iterable[Episode]:
        if row["round"] == 1 or row["finish_reason"] not in ("stop", "length"):
            return
        before = (row["round"] - 1, row["problem_id"])
        every = {message.position: message for message in self._of(*before, row["replicate"])}
        positions = row["prompt_positions"] or sorted(every)[: row["prompt_messages"]]
        seen = [every[position] for position in positions]
        ids = {message.trajectory_id for message in seen}
        following = (row["replicate"] + 1) % self.run.plan.replicates
        unseen = [
            message
            for message in self._of(*before, following)
            if following != row["replicate"]
            and message.position in positions
            and message.trajectory_id not in ids
        ]
        verdict = self.verdicts.get(
            place(row), {"score": None, "verdict": None, "answer_key": None}
        )
        yield Episode(row["round"], row["problem_id"], row["conclusion"], verdict, seen, unseen)

    def decided(self) -> list[Episode]:
        return [one for one in self.episodes if self.is_graded and one.is_decided]

    def message_accuracy(self) -> Table:
        found: Table = {}
        if not self.is_graded:
            return found
        for round_ in {row["round"] for row in self.messages}:
            rows = [row for row in self.messages if row["round"] == round_]
            verdicts = [
                self.judged.get(
                    (round_, row["problem_id"], row["replicate"], row["trajectory_id"]), {}
                )
                for row in rows
            ]
            scores: dict[str, list[float]] = {}
            for row, verdict in zip(rows, verdicts, strict=True):
                if verdict.get("score") is not None:
                    scores.setdefault(row["problem_id"], []).append(verdict["score"])
            names = Counter(verdict.get("verdict") for verdict in verdicts)
            found[(round_,)] = {
                "step": self.step(round_),
                "messages": len(rows),
                "judged": sum(map(len, scores.values())),
                "problems": len(scores),
                "accuracy": mean(fmean(given) for given in scores.values()),
                "no_answer_rate": names["no_answer"] / len(rows),
                "timeout_rate": names["timeout"] / len(rows),
                "crash_rate": names["crash"] / len(rows),
                "unjudged_rate": names[None] / len(rows),
            }
        return found

    def emergence(self) -> Table:
        found: Table = {}
        graded = [one for one in self.episodes if self.is_graded and one.verdict["verdict"]]
        for round_ in {one.round for one in graded}:
            here = [one for one in graded if one.round == round_]
            decided = [one for one in here if one.is_decided]
            nothing = [one for one in decided if one.right_seen == 0]
            something = [one for one in decided if one.right_seen > 0]
            found[(round_,)] = {
                "step": self.step(round_),
                "episodes": len(decided),
                "undecided": len(here) - len(decided),
                "all_wrong": len(nothing),
                "all_wrong_problems": problems(nothing),
                "emergent_rate": mean(one.is_right for one in nothing),
                "some_right": len(something),
                "some_right_problems": problems(something),
                "base_rate": mean(one.is_right for one in something),
            }
        return found

    def outcome_by_message_accuracy(self) -> Table:
        return {
            key: {
                "step": self.step(key[0]),
                "message_accuracy": key[2] / key[1],
                "episodes": len(those),
                "problems": problems(those),
                "correct": mean(one.is_right for one in those),
            }
            for key, those in grouped(
                self.decided(), lambda one: (one.round, len(one.seen), one.right_seen)
            ).items()
        }

    def rescues(self) -> Table:
        found: Table = {}
        for key, those in grouped(self.decided(), lambda one: (one.round,)).items():
            kinds: dict[str, list[Episode]] = {
                "none_right": [], "majority_right": [], "minority_right": [], "tied": [],
            }  # fmt: skip
            for one in those:
                if one.right_seen == 0:
                    kinds["none_right"].append(one)
                elif one.right_leaders == 0:
                    kinds["minority_right"].append(one)
                elif one.right_leaders == len(one.leaders):
                    kinds["majority_right"].append(one)
                else:
                    kinds["tied"].append(one)
            found[key] = {
                "step": self.step(key[0]),
                "episodes": len(those),
                **{kind: len(members) for kind, members in kinds.items()},
                **{f"{kind}_problems": problems(members) for kind, members in kinds.items()},
                "rescued": mean(one.is_right for one in kinds["minority_right"]),
                "lost": mean(not one.is_right for one in kinds["majority_right"]),
                "lost_unanswered": mean(one.key is None for one in kinds["majority_right"]),
                "tied_correct": mean(one.is_right for one in kinds["tied"]),
                "emergent": mean(one.is_right for one in kinds["none_right"]),
            }
        return found

    def copying(self) -> Table:
        found: Table = {}
        for key, those in grouped(self.decided(), lambda one: (one.round,)).items():
            answered = [one for one in those if one.key is not None]
            elected = [one for one in answered if len(one.leaders) == 1]
            copied = [one for one in answered if one.key in one.keys]
            novel = [one for one in answered if one.key not in one.keys]
            found[key] = {
                "step": self.step(key[0]),
                "episodes": len(those),
                "answered": len(answered),
                "problems": problems(answered),
                "copied": mean(one in copied for one in answered),
                "copied_first": mean(one.key == one.seen[0].key for one in answered),
                "with_majority": len(elected),
                "copied_majority": mean(one.key == one.leaders[0] for one in elected),
                "novel": mean(one in novel for one in answered),
                "copied_accuracy": mean(one.is_right for one in copied),
                "novel_accuracy": mean(one.is_right for one in novel),
            }
        return found

    def positions(self) -> Table:
        disagreeing = [
            one for one in self.decided() if one.key is not None and len(set(one.keys)) > 1
        ]
        pairs = [
            (number, one, message)
            for one in disagreeing
            for number, message in enumerate(one.seen, 1)
        ]
        return {
            key: {
                "step": self.step(key[0]),
                "episodes": len(those),
                "problems": problems(one for _, one, _ in those),
                "copied": mean(message.key == one.key for _, one, message in those),
                "accuracy": mean(message.is_right for _, _, message in those),
                "right_episodes": sum(one.is_right for _, one, _ in those),
                "right_when_correct": mean(
                    message.is_right for _, one, message in those if one.is_right
                ),
            }
            for key, those in grouped(pairs, lambda pair: (pair[1].round, pair[0])).items()
        }

    def overlap(self) -> Table:
        found: Table = {}
        readers = [
            one
            for one in self.episodes
            if one.conclusion
            and shingles(one.conclusion)
            and any(shingles(m.text) for m in one.seen)
        ]
        for key, those in grouped(readers, lambda one: (one.round,)).items():
            by_problem = grouped(those, lambda one: one.problem_id)
            compared = grouped(
                (one for one in those if any(shingles(m.text) for m in one.unseen)),
                lambda one: one.problem_id,
            )
            several = grouped((one for one in those if has_among(one)), lambda one: one.problem_id)
            of_compared = mean(fmean(map(overlap_seen, ones)) for ones in compared.values())
            unseen = mean(
                fmean(overlap(one.conclusion or "", one.unseen) for one in ones)
                for ones in compared.values()
            )
            found[key] = {
                "step": self.step(key[0]),
                "episodes": len(those),
                "problems": len(by_problem),
                "seen": mean(fmean(map(overlap_seen, ones)) for ones in by_problem.values()),
                "compared": sum(map(len, compared.values())),
                "compared_seen": of_compared,
                "unseen": unseen,
                "dependence": None
                if of_compared is None or unseen is None
                else of_compared - unseen,
                "among": mean(fmean(map(among, ones)) for ones in several.values()),
            }
        return found

    def words(self) -> Table:
        found: Table = {}
        placed = [row for row in self.trajectories if row["trajectory_id"] in self.texts]
        for key, rows in grouped(placed, lambda row: (row["round"],)).items():
            own = [self.texts[row["trajectory_id"]] for row in rows]
            texts = ["\n".join(t for t in (text["reasoning"], text["content"]) if t is not None)
                     for text in own]  # fmt: skip
            reference = [text.count("reference") for text in texts]
            reference_zh = [text.count("参考") for text in texts]
            ref_number = [len(re.findall(r"[Rr]ef [0-9]+", text)) for text in texts]
            words = [sum(each) for each in zip(reference, reference_zh, ref_number, strict=True)]
            characters = sum(map(len, texts))
            found[key] = {
                "step": self.step(key[0]),
                "trajectories": len(rows),
                "words": sum(words),
                "reference": mean(reference),
                "reference_zh": mean(reference_zh),
                "ref_number": mean(ref_number),
                "words_mean": mean(words),
                "any_rate": mean(count > 0 for count in words),
                "per_thousand_characters": 1000 * sum(words) / characters if characters else None,
                "capitalised": mean(text.count("Reference") for text in texts),
            }
        return found


def mean(values: Iterable[float]) -> float | None:
    given = [float(value) for value in values]
    return fmean(given) if given else None


def problems(episodes: Iterable[Episode]) -> int:
    return len({one.problem_id for one in episodes})


def grouped(items: Iterable[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\S+", text.lower(), re.ASCII)
    return {tuple(words[start : start + 5]) for start in range(len(words) - 4)}


def overlap(said: str, shown: Iterable[Shown]) -> float:
    stock = set().union(*(shingles(message.text) for message in shown))
    return fmean(shingle in stock for shingle in shingles(said))


def overlap_seen(one: Episode) -> float:
    return overlap(one.conclusion or "", one.seen)


def among(one: Episode) -> float:
    witness = min(one.seen, key=lambda message: message.trajectory_id)
    return overlap(witness.text, [message for message in one.seen if message is not witness])


def has_among(one: Episode) -> bool:
    witness = min(one.seen, key=lambda message: message.trajectory_id)
    others = [message for message in one.seen if message is not witness]
    return bool(shingles(witness.text)) and any(shingles(message.text) for message in others)

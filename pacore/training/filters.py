"""Filters: which problems of the sources can be trained on, and why others cannot (paper, appendix C).

A problem that can be has no image and no link, asks one question with one answer that a rule can check, is
nearly the same as no other, and is in no evaluation set.

Near duplicates are found by MinHash over sequences of three words, 128 permutations in 32 bands. What it
finds is compared exactly: the sequences that both have, as a share of those of the smaller one, and the
numbers in both, sorted, which must be equal. Without the rule of numbers 499 of 500 different problems of
one long template are taken for the same. With it none of 830 published problems is taken for another; of
100 copies 100 are found in other case or LaTeX, 93 after a sentence, 83 with 5 % of their words changed.
Code problems have to have the same tests too, or the very same sequences: those of one short template
differ in a word that decides everything.

A problem is taken for one of an evaluation set by a share of that problem's sequences of five words,
whatever its numbers: half of them find 100, 98 and 91 of the same copies, 47 of 100 with other numbers, and
1 of 730 unrelated ones.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from pacore.core.config.training import (
    AnySource,
    ArithmeticSource,
    EvaluationSet,
    Filters,
    GeneratorSource,
    SetSource,
    kind_by_grader,
)
from pacore.core.grading.choose import choose_grader, run_grading
from pacore.core.grading.spec import parse_spec
from pacore.core.identity import sha256_hex
from pacore.core.problem import Problem, problem_id_of
from pacore.errors import Refused
from pacore.problems.files import read_problem_set
from pacore.problems.images import is_illustrated
from pacore.store.training import SOURCE_FIELD, TrainingSource
from pacore.training.sources import arithmetic, generators
from pacore.training.sources.problem import SourceProblem, UnreadRow, problems_of_set

UNREADABLE, IMAGE, LINK = "unreadable", "image", "link"
NO_ANSWER, SEVERAL = "no checkable answer", "several questions"
DUPLICATE, EVALUATION = "near duplicate", "in an evaluation set"

MOST_ANSWER_WORDS = 5
"""Words of a gold answer that is compared as text, above which it is a sentence that nobody gives alike."""

_LINK = re.compile(
    r"\bhttps?://|\bwww\.\w|\]\([^)\s]*[./][^)\s]*\)|\\(?:url|href)\b", re.IGNORECASE
)

_ASKED = re.compile(r"\?(?=[\s\"')\]}*$]|\Z)")

_PART = re.compile(r"(?:^|[\s.;:])\(?(?P<mark>[a-d]|i{1,3}|iv)\)\s", re.MULTILINE)
"""The mark of a part of a question. Options of a choice have capital letters."""


class Filtered(NamedTuple):
    """A problem of a source under the name it has in the training set, or why it is not in it.

    ``kind`` names the bounds that hold for it, None where nothing can be read as a problem; ``detail`` is
    what else there is to say, in a line.
    """

    source: str
    problem_id: str
    problem: Problem | None
    kind: str | None = None
    reason: str | None = None
    detail: str | None = None


def source_record(source: AnySource) -> TrainingSource:
    """What is kept of a source."""
    if isinstance(source, SetSource):
        licence = source.licence
    else:
        licence = arithmetic.LICENCE if source.kind == "arithmetic" else generators.LICENCE
    return TrainingSource(source.name, source.kind, licence, source.model_dump(mode="json"))


def candidates_of(source: AnySource) -> Iterator[SourceProblem | UnreadRow]:
    """The problems of a source. Raises BadInput and Refused where it cannot be read or made."""
    if isinstance(source, ArithmeticSource):
        return arithmetic.problems_of_arithmetic(source)
    if isinstance(source, GeneratorSource):
        return generators.problems_of_generator(source)
    return problems_of_set(source)


def read_evaluation_sets(wanted: Iterable[EvaluationSet], share: Fraction) -> EvaluationSets:
    """The evaluation sets of a configuration. Raises BadInput for one that cannot be read."""
    found = EvaluationSets(share)
    for one in wanted:
        found.add(one.name, read_problem_set(one.problems, None, one.fields))
    return found


def filtered(
    training: str, sources: Iterable[AnySource], filters: Filters, on_source: Callable[[str], None]
) -> Iterator[Filtered]:
    """Every problem of the sources, in their order, or why it is dropped; one at a time.

    ``on_source`` is called with the name of each before it is read.
    """
    evaluation = read_evaluation_sets(filters.evaluation_sets, Fraction(filters.contamination))
    near = NearDuplicates(Fraction(filters.containment)) if filters.near_duplicates else None
    rules = _Rules(filters, evaluation, near)
    for source in sources:
        on_source(source.name)
        licence = source_record(source).licence
        for candidate in candidates_of(source):
            if isinstance(candidate, UnreadRow):
                reason = IMAGE if candidate.is_image else UNREADABLE
                name = f"{source.name}.{problem_id_of(candidate.place)}"
                yield Filtered(source.name, name, None, None, reason, candidate.why)
                continue
            name = problem_id_of(f"{source.name}.{candidate.problem.problem_id}")
            dropped = rules.dropped(name, candidate)
            problem = _placed(training, source.name, licence, name, candidate.problem)
            kind = kind_by_grader(choose_grader(problem))
            yield (
                Filtered(source.name, name, problem, kind)
                if dropped is None
                else Filtered(source.name, name, None, kind, *dropped)
            )


class _Rules:
    """The rules of a configuration, with what they know of the problems before."""

    def __init__(
        self, filters: Filters, evaluation: EvaluationSets, near: NearDuplicates | None
    ) -> None:
        self._filters = filters
        self._evaluation = evaluation
        self._near = near
        self._names: dict[str, str] = {}
        self._keys: set[str] = set()

    def dropped(self, name: str, candidate: SourceProblem) -> tuple[str, str | None] | None:
        """The reason to drop a problem, and what else there is to say; None to keep it."""
        content = candidate.problem.content_digest[:16]
        if name in self._names:
            reason = DUPLICATE if self._names[name] == content else UNREADABLE
            return reason, f"{name} is there already"
        self._names[name] = content
        return self._unusable(candidate.problem) or self._repeated(name, candidate)

    def _unusable(self, problem: Problem) -> tuple[str, str | None] | None:
        filters, text = self._filters, problem_text(problem)
        if (why := _unchecked(problem)) is not None:
            return NO_ANSWER, why
        if filters.images and is_illustrated(problem):
            return IMAGE, None
        if filters.links and (link := _LINK.search(text)):
            return LINK, text[link.start() : link.start() + 60].split()[0]
        if filters.several_questions and (questions := _questions(problem)) > 1:
            return SEVERAL, f"{questions} of them"
        return None

    def _repeated(self, name: str, candidate: SourceProblem) -> tuple[str, str | None] | None:
        if (known := self._evaluation.find(candidate.problem)) is not None:
            return EVALUATION, known
        if candidate.key is not None:
            # Problems of a family are told apart by what they are made of, however alike they are.
            key = sha256_hex(candidate.key.encode())[:16]
            if key in self._keys:
                return DUPLICATE, f"the same {candidate.key[:60]}"
            self._keys.add(key)
            return None
        if self._near is not None and (same := self._near.find(name, candidate.problem)):
            return DUPLICATE, same
        return None


def _unchecked(problem: Problem) -> str | None:
    """Why no rule can check an answer to a problem; None where one can."""
    if problem.gold is None:
        return "it has no gold answer"
    graded = run_grading(problem)
    if graded is None:
        return f"{choose_grader(problem)} is a judge, and no rule"
    grader, gold = graded
    words = len(gold.split())
    if problem.grader is None and grader == "text" and words > MOST_ANSWER_WORDS:
        return f"the gold answer is a text of {words} words"
    return None


def _questions(problem: Problem) -> int:
    """How many questions a problem asks, as far as its marks say; of programs and choices one."""
    if parse_spec(choose_grader(problem)).name in ("code", "choice"):
        return 1
    asked = problem.statement
    parts = {found["mark"] for found in _PART.finditer(asked)}
    labelled = max(len(parts & {"a", "b", "c", "d"}), len(parts & {"i", "ii", "iii", "iv"}))
    return max(len(_ASKED.findall(asked)), labelled)


def _placed(training: str, source: str, licence: str, name: str, problem: Problem) -> Problem:
    """A problem under its name in a training set, whose metadata say where it is from."""
    origin: dict[str, JsonValue] = {
        "set": training,
        "source": source,
        "licence": licence,
        "problem_id": problem.problem_id,
    }
    if problem.metadata:
        origin["metadata"] = dict(problem.metadata)
    return replace(problem, problem_id=name, metadata={SOURCE_FIELD: origin}, position=None)


if TYPE_CHECKING:
    from rensa import RMinHash

WORDS_ALIKE, WORDS_CONTAMINATED = 3, 5

PERMUTATIONS, BANDS = 128, 32

SEED = 42

MOST_WORDS = 4000
"""Words of a problem that are looked at, which bounds the memory for one."""

_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|limits|quad|qquad|[,;:! ])|\$|\{,\}|(?<=\d),(?=\d{3}\b)"
)
_SPELT = re.compile(r"\\[dt]frac")
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

Grams = frozenset[int]
"""Sequences of words by their hash values, which hold within a process."""


def problem_text(problem: Problem) -> str:
    """All that a problem says."""
    return "\n".join(turn.content for turn in problem.turns if turn.role != "system")


def _plain(text: str) -> str:
    """A text in lower case without what only lays it out."""
    return _LAYOUT.sub("", _SPELT.sub(r"\\frac", text.casefold()))


def _sequences(plain: str, length: int) -> list[str]:
    """Every sequence of so many words; of a text with fewer, all of it."""
    words = [found[0] for found in islice(_WORD.finditer(plain), MOST_WORDS)]
    if not words:
        return []
    return [" ".join(words[at : at + length]) for at in range(max(1, len(words) - length + 1))]


class NearDuplicates:
    """The problems that were kept so far, to be asked whether another is nearly one of them.

    A problem takes some 3.5 kB of memory. Raises Refused where rensa is not installed.
    """

    def __init__(self, containment: Fraction) -> None:
        try:
            from rensa import RMinHash, RMinHashLSH
        except ImportError:
            raise Refused(
                "near_duplicates: rensa is not installed; pip install 'pacore[training]', or turn it off"
            ) from None
        self._hashed: type[RMinHash] = RMinHash
        self._index: RMinHashLSH = RMinHashLSH(
            threshold=0.5, num_perm=PERMUTATIONS, num_bands=BANDS
        )
        self._least = containment
        self._names: list[str] = []
        self._grams: list[array[int]] = []
        self._numbers: list[int] = []
        self._tests: list[int | None] = []

    def find(self, name: str, problem: Problem) -> str | None:
        """The name of a problem that this one is nearly; without one it is added, and None returned."""
        plain = _plain(problem_text(problem))
        sequences = _sequences(plain, WORDS_ALIKE)
        grams = frozenset(map(hash, sequences))
        numbers = hash(tuple(sorted(_NUMBER.findall(plain))))
        is_program = parse_spec(choose_grader(problem)).name == "code"
        tests = hash(problem.gold) if is_program else None
        hashed = self._hashed(num_perm=PERMUTATIONS, seed=SEED)
        hashed.update(sequences)
        places: list[int] = self._index.query(hashed)
        for place in sorted(places):
            other = self._grams[place]
            if self._numbers[place] != numbers or not self._is_contained(grams, other):
                continue
            if self._tests[place] == tests or grams == frozenset(other):
                return self._names[place]
        self._index.insert(len(self._names), hashed)
        self._names.append(name)
        self._grams.append(array("q", sorted(grams)))
        self._numbers.append(numbers)
        self._tests.append(tests)
        return None

    def _is_contained(self, grams: Grams, other: Sequence[int]) -> bool:
        smaller = min(len(grams), len(other))
        return smaller > 0 and len(grams.intersection(other)) >= self._least * smaller


class EvaluationSets:
    """Problems of evaluation sets, to be asked whether another is one of them."""

    def __init__(self, share: Fraction) -> None:
        self._least = share
        self._names: list[str] = []
        self._sizes: list[int] = []
        self._with_gram: defaultdict[int, list[int]] = defaultdict(list)
        self._short: dict[str, str] = {}

    def add(self, name: str, problems: Iterable[Problem]) -> None:
        """Add the problems of an evaluation set of that name."""
        for problem in problems:
            sequences = _sequences(_plain(problem_text(problem)), WORDS_CONTAMINATED)
            called = f"{name}: {problem.problem_id}"
            if len(sequences) == 1:
                # As short as this, nothing but the whole text tells it from others.
                self._short.setdefault(sequences[0], called)
                continue
            grams = frozenset(map(hash, sequences))
            for gram in grams:
                self._with_gram[gram].append(len(self._names))
            self._names.append(called)
            self._sizes.append(len(grams))

    def find(self, problem: Problem) -> str | None:
        """The evaluation set and problem that a problem is; None where it is none."""
        sequences = _sequences(_plain(problem_text(problem)), WORDS_CONTAMINATED)
        if len(sequences) == 1 and sequences[0] in self._short:
            return self._short[sequences[0]]
        shared: Counter[int] = Counter()
        for gram in frozenset(map(hash, sequences)):
            shared.update(self._with_gram.get(gram, ()))
        places = [
            place for place, count in shared.items() if count >= self._least * self._sizes[place]
        ]
        return self._names[min(places)] if places else None

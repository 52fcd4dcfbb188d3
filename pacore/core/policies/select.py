"""Selection: which of its messages a set shows to the next round, where it does not show all.

A scorer ranks the messages of a set by their texts alone, and the first k are shown, in M's order:

    random     in an order that follows from the prompt
    shortest, longest
    majority   those whose answer most messages have, then those of the next answer
    spread     the first message of each answer, the answers of most messages first; then the second of each
    trained    by a sum of `FEATURES` with the weights of a scorer, such as `pacore value --fit` finds

Answers are read as `pacore.core.message` reads them under compaction ``answer``. Messages without one stand
last under ``majority`` and ``spread``. What ranks alike stands in M's order, and a larger k shows all that
a smaller one does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from pacore.core.plan import SelectPolicy, shuffled
from pacore.core.problem import Problem

FEATURES = ("agreement", "unanswered", "first", "length", "rank")
"""What a message is to its set, in the order of `features`:

- ``agreement``: share of the other messages that have its answer
- ``unanswered``: 1 where no answer can be read from it
- ``first``: 1 where it is the first with its answer
- ``length``: binary logarithm of its characters and one more
- ``rank``: share of the other messages that are shorter
"""

Keys = Sequence[str | None]
"""Of each message the key of its answer, equal for equal answers; None without one."""


def selected(
    policy: SelectPolicy,
    count: int,
    problem: Problem,
    messages: Sequence[str],
    scorer: str | None,
    named: str,
) -> tuple[int, ...]:
    """1-based positions of the ``count`` messages that are shown, in M's order; ``named`` decides what is
    random.
    """
    ranking = ranked(policy, problem, messages, scorer, named)
    return tuple(sorted(place + 1 for place in ranking[:count]))


def ranked(
    policy: SelectPolicy, problem: Problem, messages: Sequence[str], scorer: str | None, named: str
) -> list[int]:
    """Places of messages, from 0, in the order in which they are chosen."""
    places = list(range(len(messages)))
    if policy == "random":
        return shuffled(f"select\n{named}", len(messages))
    if policy in ("shortest", "longest"):
        sign = 1 if policy == "shortest" else -1
        return sorted(places, key=lambda place: sign * len(messages[place]))
    keys = message_keys(problem, messages)
    if policy == "trained":
        weights = parse_scorer(scorer or "")
        scores = [_score(weights, values) for values in features(messages, keys)]
        return sorted(places, key=lambda place: -scores[place])
    votes = Counter(key for key in keys if key is not None)
    firsts = {key: keys.index(key) for key in votes}

    def by_class(place: int) -> tuple[bool, int, int]:
        key = keys[place]
        return (key is None, -votes[key], firsts[key]) if key is not None else (True, 0, 0)

    if policy == "majority":
        return sorted(places, key=by_class)
    turns = [keys[:place].count(keys[place]) for place in places]
    return sorted(places, key=lambda place: (keys[place] is None, turns[place], by_class(place)))


def message_keys(problem: Problem, messages: Sequence[str]) -> list[str | None]:
    """The key of the answer that each message gives, by the problem's grader."""
    # Policies that read no answers need not wait for the graders.
    from pacore.core.grading.choose import choose_grader, gold_answer
    from pacore.core.grading.extraction.extract import extract
    from pacore.core.grading.programs.tests import wanted_of
    from pacore.core.grading.rules import plain_key
    from pacore.core.grading.spec import parse_spec

    spec = choose_grader(problem)
    wanted = wanted_of(spec, gold_answer(problem))
    found = [extract(text, spec, wanted) for text in messages]
    grader = parse_spec(spec)
    return [plain_key(grader, one.text).text if one else None for one in found]


def features(messages: Sequence[str], keys: Keys) -> list[tuple[float, ...]]:
    """The `FEATURES` of each message of a set."""
    others = max(1, len(messages) - 1)
    votes = Counter(keys)
    lengths = sorted(map(len, messages))
    found: list[tuple[float, ...]] = []
    for place, (text, key) in enumerate(zip(messages, keys, strict=True)):
        is_answered = key is not None
        found.append(
            (
                (votes[key] - 1) / others if is_answered else 0.0,
                float(not is_answered),
                float(is_answered and keys.index(key) == place),
                math.log2(1 + len(text)),
                lengths.index(len(text)) / others,
            )
        )
    return found


def _score(weights: Mapping[str, float], values: Sequence[float]) -> float:
    return math.fsum(
        weights.get(name, 0.0) * value for name, value in zip(FEATURES, values, strict=True)
    )


def parse_scorer(text: str) -> dict[str, float]:
    """The weights of a scorer, written as ``agreement:0.4,length:-0.02``. Raises ValueError."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = (piece.strip() for piece in part.partition(":"))
        if name not in FEATURES or not sign:
            raise ValueError(
                f"{part.strip()!r} is no weight of {', '.join(FEATURES)}, such as first:0.5"
            )
        if name in weights:
            raise ValueError(f"{name} has two weights")
        try:
            weights[name] = float(number)
        except ValueError:
            raise ValueError(f"{name}: {number!r} is not a number") from None
        if not math.isfinite(weights[name]):
            raise ValueError(f"{name}: {number!r} is not a number")
    return weights


def scorer_text(weights: Mapping[str, float]) -> str:
    """The one spelling of a scorer, by which a run knows it."""
    return ",".join(f"{name}:{weights[name]!r}" for name in FEATURES if name in weights)

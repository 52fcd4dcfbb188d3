"""Problems of generators of reasoning-gym: questions with one right answer, an integer.

Of the package only questions and answers are taken. Its scorers are never called: they give parts of a
point, and 9 of 11 that were tried ran code that stood in an answer. pacore's own graders compare with the
gold answer, so the generators are those of which that is all there is to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacore.core.config.training import GeneratorSource
from pacore.core.identity import digest
from pacore.core.problem import Problem, Turn
from pacore.errors import BadInput, Refused
from pacore.training.sources.arithmetic import GRADER
from pacore.training.sources.problem import SourceProblem, UnreadRow

LICENCE = "Apache-2.0"

INSTALL = "pip install 'pacore[reasoning-gym]'"


def problems_of_generator(source: GeneratorSource) -> Iterator[SourceProblem | UnreadRow]:
    """The first ``count`` problems of a generator; the i-th is the same whatever the count.

    Raises Refused where reasoning-gym is not installed, BadInput for settings that it does not take.
    """
    try:
        import reasoning_gym
    except ImportError as fault:
        raise Refused(
            f"source {source.name}: reasoning-gym is not installed ({fault}); {INSTALL}"
        ) from None
    # Its i-th problem is drawn by seed + i: seeds that are close together would share problems.
    seed = int(digest([source.generator, source.seed])[:12], 16)
    try:
        problems = reasoning_gym.create_dataset(
            source.generator, size=source.count, seed=seed, **source.options
        )
    except (AssertionError, TypeError, ValueError) as fault:
        raise BadInput(f"source {source.name}: options: {fault}") from None
    for number in range(source.count):
        yield _candidate(source, problems[number])


def _candidate(source: GeneratorSource, row: dict[str, Any]) -> SourceProblem | UnreadRow:
    question, answer = row["question"], str(row["answer"]).strip()
    key = f"{source.generator} {question}"
    name = f"{source.generator}-{digest(question)[:16]}"
    if not answer.removeprefix("-").isdecimal():
        return UnreadRow(name, f"the answer {answer[:40]!r} is no integer")
    turns = (Turn("user", question),)
    return SourceProblem(Problem(name, turns, answer, GRADER, {"generator": source.generator}), key)

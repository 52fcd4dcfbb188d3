"""Generators of reasoning-gym, where it is installed: integers, the same whatever the count."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import get_args

import pytest

from pacore.core.config.training import Generator, GeneratorSource
from pacore.core.grading.rules import grade_fast
from pacore.errors import BadInput, Refused
from pacore.training.sources.generators import problems_of_generator
from pacore.training.sources.problem import SourceProblem

IS_INSTALLED = find_spec("reasoning_gym") is not None
needs_it = pytest.mark.skipif(not IS_INSTALLED, reason="make test installs reasoning-gym")


def source(generator: str, **fields: object) -> GeneratorSource:
    given = {"kind": "generator", "name": "own", "generator": generator, "count": 12, **fields}
    return GeneratorSource.model_validate(given)


@needs_it
@pytest.mark.parametrize("generator", get_args(Generator))
def test_a_generator_gives_integers_and_more_begin_with_fewer(generator: str) -> None:
    found = list(problems_of_generator(source(generator)))
    assert list(problems_of_generator(source(generator, count=5))) == found[:5]
    assert list(problems_of_generator(source(generator, seed="2"))) != found
    for candidate in found:
        assert isinstance(candidate, SourceProblem)
        problem = candidate.problem
        assert problem.gold is not None and problem.grader is not None
        graded = grade_fast(problem.grader, problem.gold, problem.gold)
        assert graded is not None and graded.verdict == "correct"


@needs_it
@pytest.mark.parametrize("options", [{"nonsense": 1}, {"min_numbers": -1}])
def test_settings_that_a_generator_does_not_take_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="^source own: options: "):
        list(problems_of_generator(source("gcd", options=options)))


def test_without_reasoning_gym_the_refusal_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As Python has a package that cannot be imported.
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(Refused, match=r"pip install 'pacore\[reasoning-gym\]'"):
        list(problems_of_generator(source("gcd")))

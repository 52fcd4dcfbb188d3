"""Extraction on labelled conclusions: what is stated is found, hardly anything else is taken for it."""

from __future__ import annotations

import pytest

from pacore.core.grading.extraction.extract import extract
from tests.labelled import Conclusion, read_conclusions

EVERY = read_conclusions()


SETS = {
    "tuned": [one for one in EVERY if one.half == "tuned"],
    "held out": [one for one in EVERY if one.half == "held out"],
    "fresh": read_conclusions("conclusions_fresh"),
    "hostile": read_conclusions("conclusions_hostile"),
}


LEAST_RECALL = {"tuned": 0.95, "held out": 0.95, "fresh": 0.9, "hostile": 0.95}


ACCEPTED = {"tuned": 1, "held out": 4, "fresh": 2, "hostile": 3}
"""False acceptances that are known; most conclude with a value that the problem did not ask for."""


def found(one: Conclusion) -> str | None:
    extracted = extract(one.text, one.grader)
    return extracted.text if extracted else None


def test_there_are_three_hundred_conclusions_and_half_of_them_are_held_out() -> None:
    assert len(EVERY) >= 300
    assert len({one.text for one in EVERY}) == len(EVERY)
    assert sum(one.source.startswith("generated/") for one in EVERY) >= 200
    assert 0.4 < len(SETS["held out"]) / len(EVERY) < 0.6


@pytest.mark.parametrize("name", SETS)
def test_what_a_conclusion_states_is_found(name: str) -> None:
    stating = [one for one in SETS[name] if one.answer is not None]
    right = sum(one.agrees(found(one) or "") for one in stating)
    assert right / len(stating) >= LEAST_RECALL[name]


@pytest.mark.parametrize("name", SETS)
def test_hardly_anything_else_is_taken_for_an_answer(name: str) -> None:
    accepted = [one for one in SETS[name] if (text := found(one)) and not one.agrees(text)]
    assert len(accepted) <= ACCEPTED[name]

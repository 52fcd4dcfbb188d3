"""Compaction beyond the conclusion: answers alone, and texts that were cut at their step's bound."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacore.core.grading.extraction.extract import extract
from pacore.core.grading.spec import GRADERS, GraderName
from pacore.core.message import (
    Candidate,
    CompactionInput,
    answer_text,
    candidate_of,
    compacted,
    compaction_of,
    compactor,
    needs_generation,
)
from pacore.core.plan import Compaction, MessagePolicy, Plan
from pacore.core.problem import Problem, Turn
from pacore.core.prompt import prompt_digest
from pacore.core.quorum import SlotOutcome, shortfall
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request, Slot, Trajectory

TURNS = (Turn("user", "What is 6 * 7?"),)


SUMMARY = Compaction("summary", bound_tokens=9)

answers = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "42",
        "\\frac{1}{2}",
        "}{",
        "{",
        "\\",
        "\\}",
        "x = {1, 2}",
        "def f():\n    return 1",
        "\\boxed{1}",
    ]
)


def trajectory(generation: Generation) -> Trajectory:
    request = Request.of(Recipe(model="m"), TURNS, prompt_digest(TURNS), draw=0)
    return Trajectory.of(Slot(1, "six-by-seven", 0, 0, 0), request, generation)


def candidate(generation: Generation, compaction: Compaction) -> Candidate:
    return compacted(trajectory(generation), compaction)


@pytest.mark.parametrize(
    ("conclusion", "grader", "text"),
    [
        ("We get 6 * 7 = \\boxed{42}, as asked.", "math", "\\boxed{42}"),
        ("So 6 * 7 = 42.", "math", "\\boxed{42}"),
        ("Therefore \\boxed{\\frac{1}{2}}", "math", "\\boxed{\\frac{1}{2}}"),
        ("The answer is (B), clearly.", "choice", "\\boxed{B}"),
        ("It was\n**Ada Lovelace**", "text", "\\boxed{Ada Lovelace}"),
        ("I cannot decide: \\boxed{}", "math", None),
        ("Neither seems right.", "choice", None),
    ],
)
def test_answers_alone_are_handed_on_in_a_box(
    conclusion: str, grader: GraderName, text: str | None
) -> None:
    found = candidate(Generation("stop", conclusion), Compaction("answer", grader=grader))
    assert found.text == text
    assert compactor(found, "answer") == "answer/2"


@settings(deadline=None)
@given(answers, st.sampled_from(GRADERS))
def test_an_answer_in_its_box_reads_as_the_same_answer_again(
    conclusion: str, grader: GraderName
) -> None:
    found = extract(conclusion, grader)
    if found is None:
        return
    text = answer_text(found.text, grader)
    if text != found.text:
        again = extract(text, grader)
        assert again is not None and again.text == found.text


@given(answers, st.sampled_from(GRADERS))
def test_an_answer_that_would_break_its_box_or_has_lines_stands_as_it_is(
    answer: str, grader: GraderName
) -> None:
    text = answer_text(answer, grader)
    assert text in (answer, f"\\boxed{{{answer}}}")
    if "\n" in answer or grader == "code":
        assert text == answer


def test_a_program_is_handed_on_bare_whether_it_has_one_line_or_several() -> None:
    for program in ("print(1)", "n = int(input())\nprint(n)"):
        conclusion = f"Here it is:\n```python\n{program}\n```\nIt prints \\boxed{{1}}."
        found = candidate(Generation("stop", conclusion), Compaction("answer", grader="code"))
        assert (found.text or "").strip() == program


def test_how_an_answer_is_read_is_the_problems_own() -> None:
    plan = Plan((4,), compaction="answer")
    sums, letters = (Problem("p", TURNS, gold) for gold in ("42", "B"))
    assert compaction_of(plan, 1, sums) == Compaction("answer", grader="math")
    assert compaction_of(plan, 1, letters) == Compaction("answer", grader="choice")
    assert compaction_of(plan, 2, letters) == Compaction("conclusion")


def test_a_set_of_conclusions_without_answers_says_so() -> None:
    compaction = Compaction("answer", grader="choice")
    outcomes = [
        SlotOutcome.of(trajectory(Generation("stop", text)), compaction)
        for text in ("Either, or neither.", "")
    ]
    short = shortfall(Plan((2,), compaction="answer"), 1, outcomes)
    assert short and short.reason == "round 1: 0 of 2 messages (1 empty, 1 no_answer)"


@pytest.mark.parametrize(
    ("generation", "text", "name"),
    [
        (Generation("stop", " All of it. "), "All of it.", "summary/1"),
        (Generation("length", " As far as it "), "As far as it", "cut(9)/1"),
        (Generation("length", "<think>Well.</think> As far"), "As far", "summary/1"),
        (Generation("length", "As far", "Well."), "As far", "summary/1"),
        (Generation("length", "<think>Well"), None, None),
        (Generation("length", None, "Well"), None, None),
        (Generation("length", "<think>Well.</think> "), None, None),
        (Generation("length", "  "), None, None),
        (Generation("stop", "<think>Well.</think>"), None, None),
        (Generation("context_overflow"), None, None),
        (Generation("timeout", "As far"), None, None),
    ],
)
def test_a_text_cut_at_its_bound_counts_as_far_as_it_goes_but_not_inside_of_thinking(
    generation: Generation, text: str | None, name: str | None
) -> None:
    found = candidate(generation, SUMMARY)
    assert found.text == text
    if name is not None:
        assert compactor(found, "summary") == name


@pytest.mark.parametrize("policy", ["conclusion", "verbatim", "summary", "workspace"])
@pytest.mark.parametrize(("tail", "bound"), [(None, None), (3, None), (None, 9)])
@pytest.mark.parametrize(
    "generation",
    [
        Generation("stop", "Yes.", "Hm."),
        Generation("length", "Ye"),
        Generation("length", None, "H"),
        Generation("stop", ""),
        Generation("timeout"),
    ],
)
def test_a_generation_is_asked_for_wherever_it_makes_a_difference(
    generation: Generation, tail: int | None, bound: int | None, policy: MessagePolicy
) -> None:
    compaction = Compaction(policy, tail, bound)
    made = trajectory(generation)
    row = CompactionInput(
        "id", made.thought.conclusion, made.thought.status, made.generation.content_characters
    )
    without, with_it = (candidate_of(row, compaction, given) for given in (None, generation))
    assert needs_generation(row, compaction) or without == with_it

"""Filters: every problem that is dropped has its reason, and every other one its place of origin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pacore.core.config.training import AnySource, Filters, SetSource
from pacore.core.grading.programs.tests import as_gold, stdin_tests
from pacore.core.problem import Problem, Turn
from pacore.problems.files import read_problem_set
from pacore.runs.derived import put_problems
from pacore.store.backends.opening import open_store
from pacore.store.layout import derived_key
from pacore.training.filters import EvaluationSets, Filtered, NearDuplicates, filtered
from tests.training.test_arithmetic import source

LONG = (
    "A farmer has 12 hens that lay 3 eggs each on every day of the week. He sells them at the market for 2 "
    "coins each and keeps 5 for his family. How many coins does he make in a week?"
)


def row(name: str, problem: str, answer: str | None = "7", **fields: object) -> dict[str, object]:
    stated = {} if answer is None else {"answer": answer}
    return {"id": name, "problem": problem, **stated, **fields}


def set_source(folder: Path, rows: Iterable[object], name: str = "set") -> SetSource:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return SetSource.model_validate(
        {"kind": "set", "name": name, "problems": str(path), "licence": "MIT"}
    )


def decided(sources: Iterable[AnySource], **fields: object) -> list[Filtered]:
    filters = Filters.model_validate(fields)
    return list(filtered("mine", sources, filters, lambda _: None))


def reasons(found: Iterable[Filtered]) -> dict[str, str | None]:
    return {one.problem_id: one.reason for one in found}


def test_each_filter_says_why(tmp_path: Path) -> None:
    rows = [
        row("good", "What is the largest prime below 10?"),
        row("image", "What is the area of ![](figure.png)?"),
        row("field", "What is the area?", image="figure.png"),
        row("link", "Solve the problem on https://example.org/7 for x."),
        row("two", "What is 3 + 4? And what is 5 + 6?"),
        row("parts", "Let f(x) = x^2. (a) Find f(2). (b) Find the derivative of f."),
        row("none", "What is the meaning of life?", None),
        row("essay", "Why is the sky blue?", "Because short waves are scattered more than long ones"),
        row("choice", "Which is prime?\n(A) 4\n(B) 7\n(C) 9", "B"),
        row("name", "Who proved the theorem on this page?", "Andrew Wiles"),
        {"id": "broken", "answer": "7"},
    ]  # fmt: skip
    found = decided([set_source(tmp_path, rows)])
    assert reasons(found) == {
        "set.good": None, "set.image": "image", "set.field": "image", "set.link": "link",
        "set.two": "several questions", "set.parts": "several questions",
        "set.none": "no checkable answer", "set.essay": "no checkable answer", "set.choice": None,
        "set.name": None, found[-1].problem_id: "unreadable",
    }  # fmt: skip
    assert "set.jsonl:11" in str(found[-1].detail)
    assert {one.detail for one in found if one.reason == "link"} == {"https://example.org/7"}


def test_filters_that_are_off_drop_nothing(tmp_path: Path) -> None:
    rows = [
        row("link", "Solve www.example.org for x."),
        row("two", "What is 3 + 4? And what is 5 + 6?"),
        row("again", "What is 3 + 4? And what is 5 + 6?"),
    ]
    off = dict.fromkeys(("links", "several_questions", "near_duplicates"), False)
    assert set(reasons(decided([set_source(tmp_path, rows)], **off)).values()) == {None}


def test_near_duplicates_go_but_for_the_first_and_other_numbers_are_another_problem(
    tmp_path: Path,
) -> None:
    rows = [
        row("first", LONG),
        row("case", LONG.upper()),
        row("spelt", LONG.replace("2 coins", "$2$ coins")),
        row("longer", f"Read this with care. {LONG}"),
        row("numbers", LONG.replace("12", "13")),
        row("id", LONG.replace("12", "13").replace("farmer", "farmer's wife")),
    ]
    found = decided([set_source(tmp_path, rows)])
    assert reasons(found) == {
        "set.first": None, "set.case": "near duplicate", "set.spelt": "near duplicate",
        "set.longer": "near duplicate", "set.numbers": None, "set.id": "near duplicate",
    }  # fmt: skip
    assert {one.problem_id: one.detail for one in found if one.reason} == {
        "set.case": "set.first", "set.spelt": "set.first", "set.longer": "set.first",
        "set.id": "set.numbers",
    }  # fmt: skip


def test_a_generated_family_is_never_its_own_duplicate_but_no_problem_is_in_it_twice() -> None:
    sums = source(count=300, operations=["add"], digits=[1, 3])
    again = sums.model_copy(update={"name": "again"})
    found = decided([sums, again])
    assert [one.reason for one in found[:300]] == [None] * 300
    assert {one.reason for one in found[300:]} == {"near duplicate"}


def test_code_problems_of_one_template_are_told_apart_by_their_tests(tmp_path: Path) -> None:
    template = "Write a program that reads integers from standard input and prints their {}."
    tests = {name: as_gold(stdin_tests([("1 2", name)])) for name in "abc"}
    rows = [
        {"id": "range", "problem": template.format("range"), "answer": tests["a"]},
        {"id": "sum", "problem": template.format("sum"), "answer": tests["b"]},
        {"id": "total", "problem": template.format("total"), "answer": tests["b"]},
        {"id": "again", "problem": template.format("range").upper(), "answer": tests["c"]},
    ]
    found = decided([set_source(tmp_path, [row | {"grader": "code"} for row in rows])])
    assert {one.problem_id: one.detail for one in found} == {
        "set.range": None, "set.sum": None, "set.total": "set.sum", "set.again": "set.range",
    }  # fmt: skip


def test_problems_of_evaluation_sets_go_whatever_their_numbers(tmp_path: Path) -> None:
    held_out = set_source(tmp_path, [row("q1", LONG), row("q2", "Name it.")], "held-out")
    rows = [
        row("copy", LONG.replace("12", "40")),
        row("short", "name it"),
        row("part", LONG.partition("He sells")[0] + "How many eggs is that?"),
        row(
            "other", "How many coins does a farmer have who has no hens at all, and sells nothing?"
        ),
    ]
    found = decided(
        [set_source(tmp_path, rows)],
        evaluation_sets=[{"name": "eggs", "problems": held_out.problems}],
    )
    assert reasons(found) == {
        "set.copy": "in an evaluation set", "set.short": "in an evaluation set", "set.part": None,
        "set.other": None,
    }  # fmt: skip
    assert found[0].detail == "eggs: q1"


def test_kept_problems_are_read_back_from_the_store_with_where_they_are_from(
    tmp_path: Path,
) -> None:
    program = {
        "task_id": "HumanEval/0", "prompt": "def add(a, b):\n    \"\"\"Add.\"\"\"\n", "entry_point": "add",
        "canonical_solution": "    return a + b\n",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    }  # fmt: skip
    sources: list[AnySource] = [
        set_source(tmp_path, [row("a", "What is 3 + 4?", level=3), program]), source(count=3),
    ]  # fmt: skip
    kept = [one.problem for one in decided(sources) if one.problem is not None]
    store = open_store(str(tmp_path / "store"))
    assert put_problems(store, kept, lambda _: "mine.pool") == "mine.pool"
    back = read_problem_set(store.uri(derived_key("mine.pool")))
    assert {one.problem_id: one for one in back} == {one.problem_id: one for one in kept}
    by_name = {one.problem_id: one.metadata["training"] for one in back}
    assert by_name["set.a"] == {
        "set": "mine", "source": "set", "licence": "MIT", "problem_id": "a",
        "metadata": {"level": 3},
    }  # fmt: skip
    assert sum(one.grader == "code" for one in back) == 1


WORDS = ["alpha", "beta", "gamma", "delta", "1", "2", "3", "of", "the", "sum"]
words = st.lists(st.sampled_from(WORDS), max_size=12)


def problem_of(text: str) -> Problem:
    return Problem("x", (Turn("user", text),), "7")


@given(texts=st.lists(words, max_size=12), rest=words)
def test_the_same_text_is_always_found_whatever_came_before(
    texts: list[list[str]], rest: list[str]
) -> None:
    near = NearDuplicates(Fraction("0.7"))
    for number, text in enumerate(texts):
        near.find(f"p{number}", problem_of(" ".join(text)))
    for text in texts:
        assert near.find("again", problem_of("  ".join(text).upper())) is not None or not text
    before = [" ".join(text) for text in texts]
    numbers = sorted(word for word in rest if word.isdigit())
    same = [text for text in before if sorted(filter(str.isdigit, text.split())) == numbers]
    assert near.find("rest", problem_of(" ".join(rest))) is None or same


@given(text=words, others=st.lists(words, max_size=5))
def test_a_problem_of_an_evaluation_set_is_found_in_any_longer_one(
    text: list[str], others: list[list[str]]
) -> None:
    evaluation = EvaluationSets(Fraction("0.5"))
    evaluation.add("held", [problem_of(" ".join(one)) for one in [*others, text]])
    assert (evaluation.find(problem_of(" ".join(text))) is not None) == bool(text)
    if len(text) > 5:
        longer = problem_of(" ".join(["before", *text, "after"]))
        assert evaluation.find(longer) is not None


def test_a_name_that_is_there_already_is_no_other_problem(tmp_path: Path) -> None:
    first = row("a", "What is 3 + 4?")
    rows = [first, row("a", "What is 4 * 9 - 29, all in all?"), first]
    found = [one.reason for one in decided([set_source(tmp_path, rows)])]
    assert found == [None, "unreadable", "near duplicate"]

"""The reward is the verdict of the store, it ends, and it runs where there is no pacore."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from pacore.core.prompt import SYNTHESIS
from pacore.errors import BadInput
from pacore.training.exports.package import PACKAGE, package_files, requirements
from pacore.training.handoff.reward import (
    compute_score,
    make_label,
    read_label,
    response_in,
    reward_of,
    slime_reward,
    trl_reward,
)

ADDS = "```python\na, b = map(int, input().split())\nprint(a + b)\n```"

TESTS = json.dumps({"inputs": ["1 2\n", "5 5\n"], "outputs": ["3\n", "10\n"]})


@pytest.mark.parametrize(
    ("response", "gold", "grader", "score"),
    [
        ("The answer is \\boxed{7}.", "7", None, 1.0),
        ("The answer is \\boxed{8}.", "7", None, 0.0),
        ("<think>\\boxed{7}</think>\\boxed{8}", "7", "math", 0.0),
        ("<think>\\boxed{8}</think>So \\boxed{7}", "7", "math", 1.0),
        ("\\boxed{8}</think>So \\boxed{7}", "7", "math", 1.0),
        ("<think>it may be \\boxed{7}, or", "7", "math", 0.0),
        ("The answer is (B).", "B", None, 1.0),
        ("It is 3.141.", "3.14", "numeric:abs=0.01", 1.0),
        ("", "7", "math", 0.0),
    ],
)
def test_a_response_is_worth_what_its_conclusion_answers(
    response: str, gold: str, grader: str | None, score: float
) -> None:
    assert reward_of(response, gold, grader).score == score


def test_where_thoughts_are_opened_by_the_prompt_a_response_that_was_cut_has_no_answer() -> None:
    cut = "so far it seems to be \\boxed{7}"
    assert reward_of(cut, "7").score == 1.0
    assert reward_of(cut, "7", thinking="closed").score == 0.0
    assert reward_of(f"{cut}</think>\\boxed{{7}}", "7", thinking="closed").score == 1.0
    with pytest.raises(BadInput, match="thinking 'never'"):
        reward_of(cut, "7", thinking="never")  # type: ignore[arg-type]


@pytest.mark.slow
def test_computer_algebra_decides_in_any_thread() -> None:
    found: list[float] = []

    def grade() -> None:
        found.append(reward_of("\\boxed{2\\sqrt{3}}", "\\sqrt{12}").score)

    threads = [threading.Thread(target=grade) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1.0] * 4


@pytest.mark.slow
def test_a_grading_that_takes_too_long_is_killed_and_says_nothing_of_the_response() -> None:
    began = time.monotonic()
    hard = "\\boxed{\\int_0^\\infty e^{-x^2}\\sin(x^3)\\ln(x)\\,dx}"
    found = reward_of(hard, "7", timeout_seconds=0.1)
    assert time.monotonic() - began < 60
    assert (found.score, found.is_observed, found.verdict) == (0.0, False, "timeout")
    assert reward_of("\\boxed{2\\sqrt{3}}", "\\sqrt{12}").score == 1.0


@pytest.mark.slow
def test_a_program_is_worth_the_tests_it_passes_and_runs_in_a_sandbox_alone() -> None:
    gold = json.dumps(
        {
            "kind": "stdin",
            "tests": [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}],
        }
    )
    assert reward_of(ADDS, gold, "code").score == 1.0
    hostile = "```python\nimport os\nos.kill(os.getppid(), 9)\nprint(3)\n```"
    assert reward_of(hostile, gold, "code").score < 1.0


def test_verl_gets_numbers_alone() -> None:
    found = compute_score("pacore/sums", "\\boxed{7}", "7", {"grader": "math"}, anything=1)
    assert found == {"score": 1.0, "acc": 1.0, "observed": 1.0, "answered": 1.0}
    assert compute_score("x", "who knows", "7")["answered"] == 0.0


def test_labels_hold_gold_answer_and_grader() -> None:
    assert read_label(make_label("π = 3", "text")) == ("π = 3", "text")
    with pytest.raises(BadInput, match="is no label of this export"):
        read_label("7")


def test_trl_gets_a_reward_for_each_completion_and_none_where_there_is_no_verdict() -> None:
    said = [[{"role": "assistant", "content": "\\boxed{7}"}], "\\boxed{8}"]
    assert trl_reward(said, ["7", "7"], ["math", "math"], problem_id=["a", "b"]) == [1.0, 0.0]


def test_slime_gets_the_reward_of_a_sample_and_of_a_group() -> None:
    right = SimpleNamespace(label=make_label("7", "math"), response="\\boxed{7}")
    wrong = SimpleNamespace(label=make_label("7", "math"), response="\\boxed{8}")
    assert asyncio.run(slime_reward(None, right)) == 1.0
    assert asyncio.run(slime_reward(None, [right, wrong])) == [1.0, 0.0]


@pytest.mark.slow
def test_openrlhf_gets_tensors() -> None:
    pytest.importorskip("torch")
    from pacore.training.handoff.reward import reward_func

    label = make_label("7", "math")
    found = reward_func(["Q\\boxed{7}", "Q\\boxed{8}"], ["Q", "Q"], [label, label])
    assert found["rewards"].tolist() == [1.0, 0.0]
    assert found["extra_logs"]["observed"].tolist() == [1.0, 1.0]


TAIL = SYNTHESIS.parts.tail


@pytest.mark.parametrize(
    ("query", "prompt", "response"),
    [
        ("Q\\boxed{7}", "Q", "\\boxed{7}"),
        ("Q so 7.<|im_end|>\n", "Q", " so 7."),
        (
            f"<s>Reference 1: \\boxed{{7}}{TAIL}<|im_end|>\nNo.</s>",
            f"Reference 1{TAIL}",
            "<|im_end|>\nNo.",
        ),
        (f"<s>Reference 1: \\boxed{{7}}{TAIL}</s>", f"Reference 1{TAIL}", ""),
    ],
)
def test_the_response_in_a_query_is_told_from_the_prompt_whose_messages_have_answers(
    query: str, prompt: str, response: str
) -> None:
    assert response_in(query, prompt) == response


def test_a_query_in_which_the_response_cannot_be_told_is_not_rewarded() -> None:
    with pytest.raises(BadInput, match="does not begin with its prompt"):
        response_in("It may be \\boxed{7}", "What is it?")


ROOTS = ["pacore.training.handoff.reward"]

_ALONE = """
import builtins, sys
real = builtins.__import__
def imported(name, *rest, **others):
    assert name.partition(".")[0] != "pacore", name
    return real(name, *rest, **others)
builtins.__import__ = imported
sys.path.insert(0, sys.argv[1])
from PACKAGE.training.handoff.reward import reward_of
print(reward_of("\\\\boxed{2\\\\sqrt{3}}", "\\\\sqrt{12}").score, reward_of("\\\\boxed{8}", "7").score)
assert not [name for name in sys.modules if name.partition(".")[0] == "pacore"]
"""


@pytest.mark.slow
def test_the_package_grades_without_pacore(tmp_path: Path) -> None:
    for name, source in package_files(ROOTS):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    done = subprocess.run(
        [sys.executable, "-P", "-c", _ALONE.replace("PACKAGE", PACKAGE), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["1.0", "0.0"], done.stderr


def test_the_package_is_what_the_reward_needs_and_no_more() -> None:
    files = dict(package_files(ROOTS))
    rooms = {name.split("/")[1] for name in files if name.count("/") > 1}
    assert rooms == {"core", "sandbox", "training"}
    assert not [
        name for name, text in files.items() if "import pacore" in text or "from pacore." in text
    ]
    assert list(requirements(ROOTS)) == ["mpmath", "pebble", "pydantic", "sympy"]

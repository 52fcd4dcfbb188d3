"""The scripted engine: what it says, how often it is right, and what its options do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.engine import EngineFault, Hint, Meter
from pacore.core.prompt import SYNTHESIS
from pacore.core.recipe import Recipe
from pacore.core.trajectory import Generation, Request, normalise
from pacore.engine.scripted import ScriptedEngine, arithmetic, random_words
from pacore.errors import BadInput
from tests.fixtures.engine_contract import request_for

DRAWS = 2000


def requests(model: str, text: str, draws: int = DRAWS) -> list[Request]:
    return [request_for(Recipe(model), text, draw) for draw in range(draws)]


def generate(model: str, asked: Iterable[Request]) -> list[Generation]:
    async def run() -> list[Generation]:
        engine = ScriptedEngine(model)
        return [await engine.generate(request) for request in asked]

    return asyncio.run(run())


def boxed(generation: Generation) -> str:
    content = generation.content or ""
    return content.partition("\\boxed{")[2].partition("}")[0]


def said(model: str, text: str, draws: int = DRAWS) -> Counter[str]:
    return Counter(map(boxed, generate(model, requests(model, text, draws))))


def faults(model: str, draws: int = DRAWS) -> list[EngineFault]:
    found = []
    for request in requests(model, "Guess a digit.", draws):
        try:
            generate(model, [request])
        except EngineFault as fault:
            found.append(fault)
    return found


def test_the_same_request_is_answered_the_same_way_by_another_engine() -> None:
    asked = requests("scripted?words=300&latency_ms=0.1&truncate=0.2", "What is 6 * 7?", 50)
    assert (
        generate(asked[0].recipe.model, asked) == generate(asked[0].recipe.model, asked[::-1])[::-1]
    )


def test_draws_of_one_prompt_think_differently() -> None:
    texts = {g.reasoning for g in generate("scripted", requests("scripted", "Guess a digit."))}
    assert len(texts) == DRAWS


def test_the_turns_take_part_in_what_is_said_and_not_the_seed_alone() -> None:
    first = request_for(Recipe("scripted"), "Guess a digit.")
    second = request_for(Recipe("scripted"), "Guess another digit.")
    same_seed = Request(
        second.recipe, second.turns, second.prompt_digest, 0, 0, second.trajectory_id, first.seed
    )
    one, other = generate("scripted", [first, same_seed])
    assert one.reasoning != other.reasoning


def test_a_reply_has_the_words_asked_for_and_a_boxed_conclusion() -> None:
    (generation,) = generate("scripted?words=200", requests("scripted?words=200", "Guess.", 1))
    thought = normalise(generation)
    assert generation.reasoning is not None
    assert len(generation.reasoning.split()) == 200
    assert thought.status == "present"
    assert thought.thinking_closed is True
    assert thought.conclusion is not None
    assert thought.conclusion.endswith(f"The answer is \\boxed{{{boxed(generation)}}}.")
    assert generation.completion_tokens == 200 + len(thought.conclusion.split())


@given(words=st.integers(0, 40_000), draw=st.integers(0, 2**64 - 1))
def test_thinking_has_exactly_as_many_words_as_asked_for(words: int, draw: int) -> None:
    text = random_words(words, draw)
    assert len(text.split()) == words
    assert text == " ".join(text.split())


def test_arithmetic_is_right_six_times_in_ten() -> None:
    assert said("scripted", "What is 12 * 12?")["144"] / DRAWS == pytest.approx(0.6, abs=0.04)


def test_a_wrong_answer_to_arithmetic_is_never_the_true_one_by_luck() -> None:
    assert said("scripted", "What is 3 + 4?")["7"] / DRAWS == pytest.approx(0.6, abs=0.04)


def test_guesses_are_spread_over_the_answers_asked_for() -> None:
    guesses = said("scripted?answers=4", "Who wrote it?")
    assert set(guesses) == {"0", "1", "2", "3"}
    assert min(guesses.values()) > DRAWS / 4 * 0.8


@pytest.mark.parametrize(
    ("statement", "result"),
    [
        ("What is 12 + 30?", 42),
        ("Compute 5-8.", -3),
        ("Compute -5 - -8", 3),
        ("What is 7 times 6?", 42),
        ("Find $7 \\times 6$.", 42),
        ("7 \u00d7 6 = ?", 42),
        ("9 \u2212 2", 7),
        ("123456789012345678901 * 10", 1234567890123456789010),
        ("What is 1 + 2 + 3?", None),
        ("What is 1 + 2 * 3?", None),
        ("What is 1.5 + 2?", None),
        ("What is 2 + 1.5?", None),
        ("Solve 2x - 3 = 4x.", None),
        ("How many primes are there?", None),
        ("", None),
    ],
)
def test_only_one_operation_on_whole_numbers_counts_as_arithmetic(
    statement: str, result: int | None
) -> None:
    assert arithmetic(statement) == result


def synthesis(*answers: str) -> str:
    return SYNTHESIS.render("Guess a digit.", [f"So it is \\boxed{{{a}}}." for a in answers])


def test_a_synthesis_follows_the_majority_nine_times_in_ten() -> None:
    answers = said("scripted", synthesis("5", "77", "77", "9"))
    own = 0.1
    assert answers["77"] / DRAWS == pytest.approx(1 - own, abs=0.03)


def test_a_tie_between_references_goes_to_the_smallest_number() -> None:
    assert said("scripted", synthesis("100", "90", "100", "90")).most_common(1)[0][0] == "90"


def test_references_without_an_answer_leave_the_engine_to_itself() -> None:
    prompt = SYNTHESIS.render("What is 30 * 30?", ["I could not decide."])
    assert said("scripted", prompt)["900"] / DRAWS == pytest.approx(0.6, abs=0.04)


def test_a_problem_that_only_mentions_references_is_no_synthesis_prompt() -> None:
    assert said("scripted", "x\nReference Responses:\n\\boxed{77}")["77"] == 0


def test_truncated_replies_are_cut_while_thinking() -> None:
    model = "scripted?truncate=0.25"
    generations = generate(model, requests(model, "Guess a digit."))
    cut = [g for g in generations if g.finish_reason == "length"]
    assert len(cut) / DRAWS == pytest.approx(0.25, abs=0.04)
    assert {g.content for g in cut} == {None}
    assert {normalise(g).status for g in cut} == {"truncated"}


def test_empty_replies_stop_without_a_conclusion() -> None:
    model = "scripted?empty=0.25"
    generations = generate(model, requests(model, "Guess a digit."))
    empty = [g for g in generations if g.content == ""]
    assert len(empty) / DRAWS == pytest.approx(0.25, abs=0.04)
    assert {g.finish_reason for g in generations} == {"stop"}
    assert {normalise(g).status for g in empty} == {"empty"}


def test_faults_are_lasting_and_follow_from_the_seed() -> None:
    found = faults("scripted?fault=0.25", 400)
    assert len(found) / 400 == pytest.approx(0.25, abs=0.08)
    assert {(fault.finish_reason, fault.transient) for fault in found} == {("engine_error", False)}
    assert [f.detail for f in found] == [f.detail for f in faults("scripted?fault=0.25", 400)]


def test_another_attempt_at_a_faulty_draw_can_succeed() -> None:
    model = "scripted?fault=0.5"
    first = requests(model, "Guess a digit.", 40)
    again = [Request.of(r.recipe, r.turns, r.prompt_digest, r.draw, attempt=1) for r in first]
    outcomes = set()
    for one, other in zip(first, again, strict=True):
        outcomes.add((_succeeds(model, one), _succeeds(model, other)))
    assert (False, True) in outcomes


def _succeeds(model: str, request: Request) -> bool:
    try:
        generate(model, [request])
    except EngineFault:
        return False
    return True


def test_max_tokens_cuts_the_conclusion_after_the_thinking() -> None:
    recipe = Recipe("scripted?words=10", max_tokens=12)
    (generation,) = generate(recipe.model, [request_for(recipe)])
    assert generation.finish_reason == "length"
    assert generation.completion_tokens == 12
    assert len((generation.reasoning or "").split()) == 10
    assert len((generation.content or "").split()) == 2


def test_the_window_cuts_a_reply_that_starts_inside_it() -> None:
    recipe = Recipe("scripted?words=40&window=16")
    (generation,) = generate(recipe.model, [request_for(recipe, "one two three four five six")])
    assert generation.finish_reason == "length"
    assert generation.prompt_tokens == 6
    assert generation.completion_tokens == 10


def test_a_prompt_that_fills_the_window_is_an_overflow() -> None:
    recipe = Recipe("scripted?window=6")
    fits, full = (request_for(recipe, "word " * words) for words in (5, 6))
    assert [g.finish_reason for g in generate(recipe.model, [fits, full])] == [
        "length",
        "context_overflow",
    ]


def test_latency_is_waited_for_and_differs_between_requests() -> None:
    model = "scripted?latency_ms=20"
    started = time.monotonic()
    generations = generate(model, requests(model, "Guess a digit.", 10))
    waited_seconds = [g.latency_seconds for g in generations]
    assert len(set(waited_seconds)) == 10
    assert 0.01 <= min(waited_seconds) <= max(waited_seconds) < 0.03
    assert time.monotonic() - started >= sum(waited_seconds)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ("scripted?wrods=3", "'wrods'"),
        ("scripted?words=many", "words"),
        ("scripted?words=-1", "words"),
        ("scripted?truncate=1.5", "truncate"),
        ("scripted?fault=nan", "fault"),
        ("scripted?answers=0", "answers"),
        ("scripted?latency_ms=inf", "latency_ms"),
        ("scripted?words=1&words=2", "twice"),
        ("scripted?words", "words=200"),
        ("scripted?words=", "words"),
        ("gpt", "'gpt'"),
        ("", "scripted"),
    ],
)
def test_an_option_that_is_wrong_is_named(model: str, named: str) -> None:
    with pytest.raises(BadInput, match=named) as refused:
        ScriptedEngine(model)
    assert "\n" not in str(refused.value)


def test_options_are_optional() -> None:
    assert ScriptedEngine("scripted").slots == 64
    assert ScriptedEngine("scripted?", slots=3).slots == 3


def test_a_reply_costs_a_small_part_of_a_millisecond() -> None:
    asked = requests("scripted", "What is 3 + 4?", 500)
    generate("scripted", asked[:1])
    started = time.process_time()
    generate("scripted", asked)
    assert (time.process_time() - started) / len(asked) < 0.001


def test_planted_errors_are_a_wrong_first_digit_that_all_replies_share_and_independent_others() -> (
    None
):
    question = "What is 123 + 456? The first digit is 5."
    found = said("scripted?lure=0.5&digit_error=0.25", question)
    assert {len(answer) for answer in found} == {3}
    first = Counter[str]()
    for answer, count in found.items():
        first[answer[0]] += count
    assert len(first) == 2
    assert first["5"] / DRAWS == pytest.approx(0.5, abs=0.05)
    for place, digit in (1, "7"), (2, "9"):
        kept = sum(count for answer, count in found.items() if answer[place] == digit)
        assert kept / DRAWS == pytest.approx(0.75, abs=0.05)
    assert found["579"] / DRAWS == pytest.approx(0.5 * 0.75**2, abs=0.05)


def test_a_reply_with_planted_errors_is_its_answer_and_nothing_else() -> None:
    (reply,) = generate(
        "scripted?words=0&lure=1", requests("scripted", "What is 123 + 456?", draws=1)
    )
    assert reply.content is not None
    assert reply.content == f"The answer is \\boxed{{{boxed(reply)}}}."
    assert boxed(reply)[1:] == "79"
    assert boxed(reply)[0] != "5"


@given(
    st.integers(-(10**6), 10**6),
    st.integers(-(10**6), 10**6),
    st.floats(0, 1),
    st.floats(0.01, 1),
)
def test_a_planted_error_keeps_the_sign_and_the_number_of_digits(
    left: int, right: int, lure: float, digit_error: float
) -> None:
    model = f"scripted?words=0&lure={lure}&digit_error={digit_error}"
    (reply,) = generate(model, requests(model, f"What is {left} * {right}?", draws=1))
    answer, true = boxed(reply), str(left * right)
    assert answer.startswith("-") == true.startswith("-")
    assert len(answer) == len(true)


def test_an_aborted_reply_has_cost_the_share_of_its_time_that_has_gone_by() -> None:
    [request] = requests("scripted?words=40", "1 + 1", draws=1)

    async def tokens_after_abort(engine: ScriptedEngine) -> list[tuple[int | None, str | None]]:
        meter = Meter()
        reply = asyncio.create_task(engine.generate(request, Hint(meter=meter)))
        await asyncio.sleep(0)
        reply.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reply
        return [(stream.tokens, stream.source) for stream in meter.streams]

    def cost(model: str) -> list[tuple[int | None, str | None]]:
        return asyncio.run(tokens_after_abort(ScriptedEngine(model)))

    [whole] = generate("scripted?words=40", [request])
    assert whole.completion_tokens
    assert cost("scripted?words=40") == [(whole.completion_tokens, "server")]
    assert cost("scripted?words=40&latency_ms=60000") == [(0, "server")]

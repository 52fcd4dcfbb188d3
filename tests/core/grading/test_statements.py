"""What states an answer without a box: the words of many languages, and what is no statement."""

from __future__ import annotations

# ruff: noqa: E501, RUF001 - tables of many short texts, in many scripts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacore.core.grading.extraction.extract import Extracted, extract
from pacore.core.grading.extraction.words import LANGUAGES

STATED = {
    # English, and the habits of models
    "The answer is 42.": "42",
    "The answer to 6 times 7 is 42.": "42",
    "**Final Answer: 42**": "42",
    "**Final Answer:**\n\n42": "42",
    "### Answer\n\nShe has **42** apples.": "42",
    "The answer is:\n\n$$\n42\n$$": "42",
    "Final Answer: The final answer is $42$. I hope it is correct.": "42",
    "7 + 5 = 12 is the correct answer.": "12",
    "The product is 8 * 8 = 64, which is the answer.": "64",
    "The product is 64. This is the final answer.": "64",
    "Answer: 42 (forty-two)": "42",
    "Answer: 42, because 6 * 7 = 42": "42",
    "Ans: 42": "42",
    "ANSWER = 42": "42",
    "Final answer -> 42": "42",
    "The answer, therefore, is 42.": "42",
    "\\text{Answer: } 42": "42",
    "The answer is 42!": "42",
    'The answer is "42".': "42",
    "The answer is 40 + 2 = 42 apples.": "42",
    "The answer is 6 times 7, which equals 42.": "42",
    "The final answer is that she has 42 apples.": "42",
    "The answer is 42, not 43.": "42",
    "The answer is $70,000$.": "70,000",
    "The answer is $70,000.": "70,000",
    "The answer is 40 minutes.": "40 minutes",
    "The answer is 1.5 million dollars.": "1.5 million dollars",
    "The answer is 3/4 or 0.75.": "3/4",
    "The answer is $\\frac{3}{4}$.": "\\frac{3}{4}",
    "The answer is [2,5).": "[2,5)",
    "The answer is {1, 2}.": "{1, 2}",
    "The answer is 3, 5 and 7.": "3, 5 and 7",
    "The answer is x = 3 or x = 4.": "x = 3 or x = 4",
    "The answer is 10.1% of 20.": "10.1% of 20",
    "The answer is .5.": ".5",
    "The answer is -4.": "-4",
    "The answer is twelve.": "twelve",
    "The answer is: no solution.": "no solution",
    "Both references agree that the answer is 42.": "42",
    "Based on the references, the answer is 42.": "42",
    # the same in other languages
    "答案：70": "70",
    "因此，最终答案是 $\\frac{3}{4}$。希望对你有帮助！": "\\frac{3}{4}",
    "**答案：７０**": "70",
    "答案应该是 24，而不是 26。": "24",
    "答えは 18 ドルです。": "18",
    "따라서 정답은 **24**입니다.": "24",
    "La réponse finale est donc 64.": "64",
    "Réponse : 3,5": "3,5",
    "Die richtige Antwort lautet also 42.": "42",
    "Damit ist 42 die richtige Antwort.": "42",
    "Por lo tanto, la respuesta es 20 tazas. ¡Espero que te sirva!": "20",
    "Portanto, a resposta final é **45**.": "45",
    "Quindi, la risposta è 6.": "6",
    "Ответ: 120": "120",
    "Правильный ответ — 12, а не 13.": "12",
    "Отже, відповідь: 11.": "11",
    "الجواب: ٧٢": "72",
    "پاسخ نهایی ۳۰ است.": "30",
    "सही उत्तर 15 है।": "15",
    "সুতরাং উত্তর হল 14।": "14",
    "Vậy đáp án là 230 đồng.": "230",
    "Sonuç olarak, cevap 42'dir.": "42",
    "Jadi, jawabannya adalah 96.": "96",
    "ดังนั้น คำตอบคือ 25 บาท": "25",
    "Het antwoord is dus 17.": "17",
    "Odpowiedź: 84": "84",
    "Svaret är alltså 9 kronor.": "9",
    "Kwa hivyo jibu ni 8.": "8",
    "Η απάντηση είναι 70.": "70",
    # with an apostrophe, or right after its noun
    "The answer's 19.": "19",
    "The final answer’s $19$.": "19",
    "The answer's last digit is 7.": "7",
    "Here's the answer: 54": "54",
    "That's my final answer: 54": "54",
    "I got the answer 54.": "54",
    "We finally obtained the answer of 54.": "54",
    "התשובה היא 70.": "70",
    # the brackets of a template, filled in
    "Final Answer: [12]": "12",
    "The answer is [[70]].": "70",
    "Final Answer: <12>": "12",
    "The answer is [1,2].": "[1,2]",
    # a bound elsewhere in the sentence
    "最多可以买70个，答案是70。": "70",
    "因此答案为 $70$，超过60。": "70",
    "答案不变，是70": "70",
    "최소 70명이 필요하므로 정답은 70명입니다.": "70",
}

CONCLUDED = {
    "So, Mia has 12 apples in total.": "12",
    "Therefore, it takes 2 + 1 = 3 bolts to make the robe.": "3",
    "So, 2 hours is equal to 120 minutes.": "120 minutes",
    "So, Janet makes **$18** every day at the farmers' market.": "18",
    "Half of 10 is 5.": "5",
    "3 * 3 = 9\n9 * 60 = 540\nJames runs 540 meters a week.": "540 meters",
    "So he orders 400 bananas every 2 months.": "400",
    "Thus, x=42. Let me know if you have another question!": "42",
    "So Carla needs 160 minutes.\n\nThis is a nice problem.": "160 minutes",
    "So Carla needs 160 minutes.\n\nNote that 80 minutes would be half of it.": "160 minutes",
    "Hence, the area is $18+2\\pi$ units.": "18+2\\pi units",
    "所以，小明一共有 \\(12\\) 个苹果。": "12",
    "Donc, Mia a 12 pommes au total.": "12",
    "Insgesamt hat Mia also 12 Äpfel.": "12",
    "Por lo tanto, Mia tiene 12 manzanas.": "12",
    "Таким образом, у Мии 12 яблок.": "12",
    "したがって、全部で12個です。": "12",
    "Donc, il y a 70 pommes.": "70",
}

FINAL_LINE = {
    "Thinking.\n\n42\n": "42",
    "12 (revised answer)": "12",
    "So x = 6 * 7 = 42.": "42",
    "$$\nx = 42\n$$": "42",
    "So\n\\[ x = 42 \\].": "42",
    "Total cost: 3 * 14 = 42": "42",
    "$x >= 42$": "x >= 42",
    "x = 3 or x = 4": "x = 3 or x = 4",
    "12 apples": "12",
    "∴ 42": "42",
    "=> 70": "70",
    "[[70]]": "70",
}

NOT_STATED = [
    # denied
    "The answer is not 70.", "The answer isn't 70.", "70 is not the answer.", "70 is not correct.",
    "The answer cannot be 70.", "The answer is anything but 70.", "I don't think the answer is 70.",
    "The previous answer of 70 is incorrect.", "答案不是 70。", "答えは 70 ではありません。", "정답은 70이 아닙니다.",
    "La réponse n'est pas 70.", "Die Antwort ist nicht 70.", "La respuesta no es 70.", "A resposta não é 70.",
    "La risposta non è 70.", "Ответ не 70.", "الجواب ليس 70.", "उत्तर 70 नहीं है।", "Đáp án không phải là 70.",
    "Cevap 70 değil.", "Jawabannya bukan 70.", "Het antwoord is niet 70.", "Odpowiedź to nie 70.",
    # one of several, or unsure
    "The answer is either 70 or 71.", "The answer is 70 or 71.", "It might be 70, or maybe 71; I cannot decide.",
    "Possible answers: 70, 71", "The answer could be 70.", "答案可能是 70 或 71。", "Die Antwort ist 70 oder 71.",
    "La réponse est soit 70, soit 71.", "La respuesta es 70 o 71.", "Ответ: 70 или 71.", "Het antwoord is 70 of 71.",
    # bounds and descriptions
    "The answer is less than 70.", "The answer is at least 70.", "The answer is between 60 and 70.",
    "The answer must be divisible by 7.", "The answer is a two-digit number.", "The answer is correct.",
    "The answer is the 3rd one.", "The answer depends on x.", "The answer follows from Theorem 3.",
    "So there are fewer than 70 apples.", "So there are at most 70 apples.", "So it is nearly 70.",
    "The answer is less than or equal to 70.", "It is unlikely to be 70.", "So it is hardly 70.",
    # doubted, or so only for a time or under a condition
    "I doubt that it is 70.", "The answer would be 70 if the train were late.", "The answer was 70 before the discount.",
    "Previously the answer was 70.", "The answer could have been 70 unless it rained.",
    # between tags
    "<answer>not 70</answer>", "<answer>maybe 70</answer>", "<answer>less than 70</answer>", "<answer>70?</answer>",
    "<answer>70 is wrong</answer>", "#### not 70", '{"answer": "not 70"}', '{"answer": "nicht 70"}',
    '{"answer": {"value": "no 70"}}', "<answer>不是 70</answer>",
    # somebody else's
    "Reference 2 says that the answer is 70, and Reference 3 says that it is 71.", "Reference 1: the answer is 70.",
    "According to Reference 3, the answer is 70.", "Reference 1 says 70 and reference 2 says 71.",
    "Reference 1's answer of 70 is incorrect.", "参考答案 2 认为答案是 70。", "Most references give 70.",
    # an example, a condition, a question
    "Write the line 'Answer: 70' when you are done.", "End with `#### 70`, for example.",
    "If she sold 7 eggs, the answer would be 70.", "Is the answer 70?", "So what is 7 times 10?",
    # only mentioned
    "We need to multiply 7 by 10.", "First, she buys 7 apples.", "Step 2: Multiply the eggs by the price of 2 dollars.",
    "The notebook costs 4 dollars and Ben pays with a 10 dollar bill.", "There are 3 steps to solve this problem.",
    "On Monday, there are 25 oranges, 20 of them are good, and 2 of them are bad.", "$5 + 7 = ?$", "7 + 5 =",
    "The problem says that Mia has 3 baskets with 4 apples each.", "So we have to multiply 12 by", "y = 7 - 2y",
    "I'm sorry, there are 2 errors in the problem.", "Hi! How can I help you with 3 problems today?",
    # bounds of the answer, in front of it and behind it
    "答案至少是70", "答えは70以上です", "答えは70未満", "정답은 70 이상입니다", "Cevap 70'ten büyük", "उत्तर 70 से अधिक है",
    "答案是60~70", "Answer: 70..71", "答案是60至70", "70不对", "My first guess was 70.", "Reference A's final answer is 19.",
    "The answer is 70. Wait, let me recheck that.\n\nHmm, this can't be right.",
    "Answer: no idea", "The answer is no clue.",
]  # fmt: skip

CHOSEN = {
    "(c)": "C", "c": "C", "C) 10": "C", "**C. Paris**": "C", "Option C": "C", "[C]": "C", "'C'": "C",
    "The answer is \\(C\\).": "C", "The answer is (C), for (A) is absurd.": "C", "**Answer: C) 10**": "C",
    "The answer to the question is C because of (B)": "C", "The answer is B? No, the answer is C.": "C",
    "<answer>C</answer>": "C", '{"answer": "C"}': "C", "\\[\\text{The answer is }\\mathbf{(C)}\\]": "C",
    "(A) fails. The correct option is **C**.": "C", "C is correct.": "C", "(A) is wrong, (C) is right": "C",
    "Option C is the right one, since 10 is even.": "C", "So I choose option (C).": "C", "My choice is A.": "A",
    "A and D are wrong. That leaves us with C.": "C", "(A) is wrong, so **C**": "C", "Hence (C).": "C",
    "So C it is.": "C", "Therefore, C it is!": "C", "It must be C.": "C", "That has to be (C).": "C",
    "Neither (A) nor (B).\nC": "C", "**C) 10**\n\nA) 7 is odd.": "C", "It is (C).": "C",
    "The answer is A.\n\nWait, the answer is D.": "D",
    "答案是 C": "C", "故选：C。": "C", "本题选C。": "C", "因此，选项C是正确的。": "C", "答案：（Ｃ）": "C",
    "正解は（C）です。": "C", "정답: C": "C", "La réponse est C.": "C", "La bonne réponse est la réponse C.": "C",
    "Die richtige Antwort ist **C**.": "C", "La opción correcta es la C).": "C", "Resposta: alternativa C": "C",
    "La risposta corretta è (C).": "C", "Ответ: C)": "C", "الإجابة الصحيحة هي C.": "C", "सही विकल्प (C) है।": "C",
    "Chọn đáp án C.": "C", "Doğru cevap: C şıkkı": "C", "Jawaban yang benar adalah C.": "C",
    "A不对，选C": "C", "因为A不正确，所以选C": "C", "A和B都不对，所以选C": "C", "A不对，B不对，C对": "C", "不难看出选C": "C",
    "No es A ni B, elijo C.": "C", "[[C]]": "C", "A is wrong so I choose C": "C",
}  # fmt: skip

NOT_CHOSEN = [
    "It isn't C.", "The answer is not (C).", "C is incorrect.", "答案不是C", "La réponse n'est pas C.", "C ist falsch.",
    "<answer>not C</answer>", "<answer>¬C</answer>", '{"answer": "maybe C"}', "#### C is wrong",
    "A or C", "The answer is A or C.", "Both A and C fit.", "B and C are both correct.", "The answer could be B or D.",
    "A) 7\nB) 9\nC) 10\nD) 13", "A) 7 B) 9 C) 10 D) 13", "The options are A, B, C and D.", "Which is right, A or B?",
    "Reference 2 chose C.", "Example: Answer: C", "Answer with one letter (A, B, C or D).", "Vitamin C is important.",
    "The answer is A lot of work", "I think so", "Answer: I am not sure", "A dog barks", "None of the above",
    "不选C", "不能选C", "不应该选C。", "C不对", "选项C不正确", "A不对，B也不对", "No elijo C.", "Non scelgo C",
    "Answer: A/C", "Answer: B/C", "Answer: A & C",
]  # fmt: skip

PHRASES = {
    "The answer is Paris, because it is the capital.": ("Paris", "stated"),
    "**Answer:** the red box": ("the red box", "stated"),
    "The answer is E = mc^2.": ("E = mc^2", "stated"),
    "Final Answer\n\nParis": ("Paris", "stated"),
    '{"answer": "Paris"}': ("Paris", "tagged"),
    "答案：巴黎": ("巴黎", "stated"),
    "It is a famous city.\n\nParis": ("Paris", "final_line"),
    "The capital asked for is therefore Canberra.": ("Canberra", "concluded"),
    "The answer is not Paris.": None,
    "The answer is either Paris or Lyon.": None,
    "I'm ready to help. What's your problem?": None,
    "I have carefully analyzed the references and will now provide my own comprehensive solution.": None,
}


def matches(text: str | None, answer: str) -> bool:
    """A word of what is counted may stand after a number, as in ``12 apples``."""
    return text is not None and (text == answer or text.startswith(f"{answer} "))


@pytest.mark.parametrize("text", STATED)
def test_a_sentence_that_names_the_answer_states_it(text: str) -> None:
    found = extract(text, "math")
    assert found is not None
    assert found.method == "stated"
    assert matches(found.text, STATED[text])


@pytest.mark.parametrize("text", CONCLUDED)
def test_a_closing_sentence_concludes_with_its_one_value(text: str) -> None:
    found = extract(text, "math")
    assert found is not None
    assert found.method in ("concluded", "final_line")
    assert matches(found.text, CONCLUDED[text])


@pytest.mark.parametrize("text", FINAL_LINE)
def test_a_last_line_that_is_a_value_is_the_answer(text: str) -> None:
    assert extract(text, "math") == Extracted(FINAL_LINE[text], "final_line")


def test_a_first_line_that_is_a_value_is_the_answer_of_the_explanation_after_it() -> None:
    text = "**45**\n\nWe can start with the two numbers and see what they have in common."
    assert extract(text, "math") == Extracted("45", "first_line")


@pytest.mark.parametrize("text", NOT_STATED)
def test_what_is_denied_hedged_quoted_or_only_mentioned_is_no_answer(text: str) -> None:
    assert extract(text, "math") is None


@pytest.mark.parametrize("text", CHOSEN)
def test_a_letter_is_a_choice_where_it_is_stated(text: str) -> None:
    found = extract(text, "choice")
    assert found is not None
    assert found.text == CHOSEN[text]


@pytest.mark.parametrize("text", NOT_CHOSEN)
def test_letters_that_are_denied_offered_or_words_are_no_choices(text: str) -> None:
    assert extract(text, "choice") is None


@pytest.mark.parametrize("text", PHRASES)
def test_an_answer_in_words_is_what_is_called_the_answer_or_a_short_last_line(text: str) -> None:
    expected = PHRASES[text]
    assert extract(text, "text") == (None if expected is None else Extracted(*expected))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LANGUAGES)
@given(number=st.integers(min_value=0, max_value=10**6))
def test_every_language_states_an_answer_after_a_colon(name: str, number: int) -> None:
    for noun in LANGUAGES[name].answers.split("|"):
        found = extract(f"{noun}: {number}", "math")
        assert found == Extracted(str(number), "stated"), noun


@pytest.mark.parametrize("name", [name for name in LANGUAGES if LANGUAGES[name].links])
def test_every_language_denies_with_its_own_words(name: str) -> None:
    language = LANGUAGES[name]
    noun, link = language.answers.split("|")[0], language.links.split("|")[0]
    for negator in language.negators.replace("*", "").split("|")[:1]:
        assert extract(f"{noun} {link} 70", "math") is not None
        assert extract(f"{noun} {link} {negator} 70", "math") is None

"""Two answers held against each other by their forms; expressions as somebody else decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pacore.grading.forms import LONE_SYMBOL, MAX_PARTS, Form, is_time
from pacore.grading.notation import key

Same = bool | None
"""Whether two are the same; None where nobody has decided it yet."""


class Algebra(Protocol):
    """What decides on expressions and equations; both may leave it open."""

    def same_expression(self, gold: str, answer: str) -> Same: ...

    def same_equation(self, gold: tuple[str, str], answer: tuple[str, str]) -> Same: ...


def same_form(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Whether an answer is the gold answer. A bare list may be a point where the gold is one."""
    if key(gold.text) == key(answer.text):
        return True
    gold, answer = _alone(gold), _alone(answer)
    if gold.symbol and answer.symbol and gold.symbol != answer.symbol:
        return False
    if max(len(gold.parts), len(answer.parts)) > MAX_PARTS:
        return False
    if gold.kind != answer.kind:
        return _across(gold, answer, algebra)
    return _COMPARED[gold.kind](gold, answer, algebra)


def _alone(form: Form) -> Form:
    return form.parts[0] if form.kind == "list" and len(form.parts) == 1 else form


def _across(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Forms of different kinds that may still say the same."""
    kinds = {gold.kind, answer.kind}
    if kinds == {"one", "equation"}:
        one, equation = (gold, answer) if gold.kind == "one" else (answer, gold)
        left, right = equation.sides
        if not LONE_SYMBOL.fullmatch(left):
            return False
        pair = (one.text, right) if gold is one else (right, one.text)
        return algebra.same_expression(*pair)
    if gold.kind == "ordered" and answer.kind == "list":
        parts = _named(answer) if gold.ends == "()" else None
        if parts is None and gold.ends == "()" and not answer.ends:
            parts = answer.parts
        return False if parts is None else _in_order(gold.parts, parts, algebra)
    if kinds == {"one", "ratio"}:
        texts = [form.text if form.kind == "one" else _as_fraction(form) for form in (gold, answer)]
        return algebra.same_expression(*texts) if all(texts) else False
    return False


def _named(form: Form) -> Sequence[Form] | None:
    """The values of ``x = 1, y = 2`` in the order of their names; None where not all have one."""
    sides = [part.sides for part in form.parts if part.kind == "equation"]
    names = [left for left, _ in sides]
    if len(sides) < len(form.parts) or len(set(names)) < len(names):
        return None
    if not all(LONE_SYMBOL.fullmatch(name) for name in names):
        return None
    return [Form("one", right) for _, right in sorted(sides)]


def _as_fraction(ratio: Form) -> str:
    if len(ratio.parts) != 2 or is_time(ratio):
        return ""
    return f"\\frac{{{ratio.parts[0].text}}}{{{ratio.parts[1].text}}}"


def _one(gold: Form, answer: Form, algebra: Algebra) -> Same:
    return algebra.same_expression(gold.text, answer.text)


def _equations(gold: Form, answer: Form, algebra: Algebra) -> Same:
    (left, right), (other_left, other_right) = gold.sides, answer.sides
    if key(left) == key(other_left) and LONE_SYMBOL.fullmatch(left):
        return algebra.same_expression(right, other_right)
    return algebra.same_equation((left, right), (other_left, other_right))


def _ordered(gold: Form, answer: Form, algebra: Algebra) -> Same:
    return gold.ends == answer.ends and _in_order(gold.parts, answer.parts, algebra)


def _in_order(gold: Sequence[Form], answer: Sequence[Form], algebra: Algebra) -> Same:
    if len(gold) != len(answer):
        return False
    return _all(same_form(one, other, algebra) for one, other in zip(gold, answer, strict=True))


def _all(found: Iterable[Same]) -> Same:
    is_open = False
    for same in found:
        if same is False:
            return False
        is_open = is_open or same is None
    return None if is_open else True


def _list(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Each of one for each of the other, whatever their order."""
    if len(gold.parts) != len(answer.parts):
        return False
    left = list(answer.parts)
    is_open = False
    for one in gold.parts:
        found = [same_form(one, other, algebra) for other in left]
        if True in found:
            del left[found.index(True)]
        elif None in found:
            is_open = True
        else:
            return False
    return None if is_open else True


def _matrices(gold: Form, answer: Form, algebra: Algebra) -> Same:
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return False
    cells = [(a, b) for row, other in zip(gold.rows, answer.rows, strict=True)
             for a, b in zip(row, other, strict=True)]  # fmt: skip
    return _all(algebra.same_expression(a, b) for a, b in cells)


def _ratios(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Proportional, part by part: times of day never are."""
    if len(gold.parts) != len(answer.parts) or (is_time(gold) and is_time(answer)):
        return False
    first, other = gold.parts[0].text, answer.parts[0].text
    return _all(
        algebra.same_expression(f"({a.text}) \\cdot ({other})", f"({b.text}) \\cdot ({first})")
        for a, b in zip(gold.parts[1:], answer.parts[1:], strict=True)
    )


_COMPARED: dict[str, Callable[[Form, Form, Algebra], Same]] = {
    "one": _one,
    "equation": _equations,
    "ordered": _ordered,
    "list": _list,
    "matrix": _matrices,
    "ratio": _ratios,
}

"""Compares two answers by their forms, and the expressions in them by a given algebra."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

from pacore.core.grading.mathematics.form import MAX_PARTS, Form, clock_minutes
from pacore.core.grading.mathematics.nodes import (
    Node,
    add,
    constants,
    free_symbols,
    multiply,
    whole,
    written_decimal,
)
from pacore.core.grading.mathematics.units import (
    ANY,
    DEGREE,
    PER_MILLE,
    PERCENT,
    POUNDS,
    RADIAN,
    MeasurementUnit,
)

Same = bool | None
"""Whether two answers are equal; None where it is undecided."""

Sides = tuple[Node, Node]


class Algebra(Protocol):
    """Compares expressions, equations and inequalities; may leave a comparison undecided."""

    def same_expression(self, gold: Node, answer: Node) -> Same: ...

    def same_equation(self, gold: Sides, answer: Sides) -> Same: ...

    def same_inequality(self, gold: Sides, answer: Sides) -> Same: ...


def same_form(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Whether an answer equals the gold answer. A list may be a point where the gold answer is one."""
    if gold.text == answer.text:
        return True
    gold, answer = _alone(gold), _alone(answer)
    if gold.kind == "approximation":
        gold = gold.parts[0]
    if answer.kind == "approximation":
        return _approximated(gold, answer, algebra)
    if "text" in (gold.kind, answer.kind) or (gold.why and answer.why):
        return gold.text == answer.text
    if gold.symbol and answer.symbol and gold.symbol != answer.symbol and gold.kind != "equation":
        return False
    if max(len(gold.parts), len(answer.parts)) > MAX_PARTS:
        return False
    if gold.kind != answer.kind:
        return _across(gold, answer, algebra)
    return _COMPARED[gold.kind](gold, answer, algebra)


def _alone(form: Form) -> Form:
    return form.parts[0] if form.kind == "list" and len(form.parts) == 1 else form


def _approximated(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Compare ``value ≈ decimal``: either may equal the gold answer if the decimal is the rounding."""
    exact, near = answer.parts
    decimal = None if near.node is None else written_decimal(near.node)
    if exact.node is None or decimal is None:
        return False
    shift = Fraction(10) ** decimal.places
    raised = add(multiply(exact.node, whole(shift)), whole(Fraction(1, 2)))
    rounded = Node("floor", (raised,))
    is_rounding = algebra.same_expression(whole(decimal.value * shift), rounded)
    is_gold = _any(same_form(gold, part, algebra) for part in answer.parts)
    return _all((is_rounding, is_gold))


def _across(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Compare forms of different kinds that may be equal."""
    kinds = {gold.kind, answer.kind}
    if kinds == {"value", "equation"}:
        return _value_and_equation(gold, answer, algebra)
    if gold.kind == "ordered" and answer.kind == "list":
        is_point = gold.ends == "()" and "or" not in answer.text.split(" ")
        parts = _named(answer) if is_point else None
        if parts is None and is_point and not answer.ends:
            parts = answer.parts
        return False if parts is None else _in_order(gold.parts, parts, algebra)
    if gold.kind == "list" and answer.kind == "ordered" and answer.ends == "()":
        parts = _named(gold)
        return False if parts is None else _in_order(parts, answer.parts, algebra)
    if kinds == {"value", "ratio"}:
        values = [form if form.kind == "value" else _as_fraction(form) for form in (gold, answer)]
        first, second = values
        return False if first is None or second is None else _values(first, second, algebra)
    if kinds == {"time", "ratio"}:
        time, ratio = (gold, answer) if gold.kind == "time" else (answer, gold)
        return (
            time.node == whole(minutes) if (minutes := clock_minutes(ratio)) is not None else False
        )
    if kinds == {"value", "based"}:
        value, based = (gold, answer) if gold.kind == "value" else (answer, gold)
        return (
            _values(value, based._replace(kind="value"), algebra) if based.symbol == "10" else False
        )
    return False


def _value_and_equation(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Whether all sides of an equation, without a name on the left, equal a value."""
    value, equation = (gold, answer) if gold.kind == "value" else (answer, gold)
    sides = equation.parts[bool(equation.symbol) :]
    pairs = ((value, side) if value is gold else (side, value) for side in sides)
    return _all(same_form(one, other, algebra) for one, other in pairs)


def _named(form: Form) -> Sequence[Form] | None:
    """The values of ``x = 1, y = 2`` in the order of their names; None where one has no name."""
    names = [part.symbol for part in form.parts if part.kind == "equation" and len(part.parts) == 2]
    if len(names) < len(form.parts) or not all(names) or len(set(names)) < len(names):
        return None
    return [part.parts[1] for part in sorted(form.parts, key=lambda part: part.symbol)]


def _as_fraction(ratio: Form) -> Form | None:
    if len(ratio.parts) != 2 or clock_minutes(ratio) is not None:
        return None
    one, other = (part.node for part in ratio.parts)
    if one is None or other is None or any(part.unit for part in ratio.parts):
        return None
    return Form("value", ratio.text, Node("divide", (one, other)))


def _values(gold: Form, answer: Form, algebra: Algebra) -> Same:
    return _any(algebra.same_expression(*pair) for pair in _readings(gold, answer))


def _readings(gold: Form, answer: Form) -> Iterator[tuple[Node, Node]]:
    """The pairs of expressions of which one has to be equal; several where a unit may be missing."""
    one, other = gold.node, answer.node
    assert one is not None and other is not None
    unit, other_unit = gold.unit, answer.unit
    if unit is None and other_unit is None:
        yield one, other
    elif unit is not None and other_unit is not None:
        yield from _both(one, unit, other, other_unit)
    elif unit is not None and answer.letter is not None:
        yield from _readings(gold, answer.letter)
        yield from ((a, other) for a in _without(one, unit, other))
    elif other_unit is not None and gold.letter is not None:
        yield from _readings(gold.letter, answer)
        yield from ((one, b) for b in _without(other, other_unit, one))
    elif unit is not None:
        yield from ((a, other) for a in _without(one, unit, other))
    elif other_unit is not None:
        yield from ((one, b) for b in _without(other, other_unit, one))


def _both(
    one: Node, unit: MeasurementUnit, other: Node, other_unit: MeasurementUnit
) -> Iterator[tuple[Node, Node]]:
    """The pair of expressions for two units of the same dimensions, converted where they differ."""
    if unit == other_unit or _is_plain(unit, other_unit) or {unit, other_unit} in POUNDS:
        yield one, other
    elif unit.dimensions == other_unit.dimensions:
        yield _times(one, unit), _times(other, other_unit)
    elif {unit, other_unit} == {DEGREE, RADIAN}:
        turned = [
            Node("degrees", (n,)) if u == DEGREE else n
            for n, u in ((one, unit), (other, other_unit))
        ]
        yield turned[0], turned[1]


def _is_plain(unit: MeasurementUnit, other: MeasurementUnit) -> bool:
    """Whether one unit is plain "units" with the power of the other."""
    for one, two in ((unit, other), (other, unit)):
        if [base for base, _ in one.dimensions] == [ANY.name] and len(two.dimensions) == 1:
            return one.dimensions[0][1] == two.dimensions[0][1]
    return False


def _times(node: Node, unit: MeasurementUnit) -> Node:
    return node if unit.scale == 1 else Node("multiply", (node, whole(unit.scale)))


def _without(node: Node, unit: MeasurementUnit, other: Node) -> Iterator[Node]:
    """The values that a quantity may have in comparison with one without a unit."""
    if unit != PER_MILLE:
        yield node
    if unit in (PERCENT, PER_MILLE):
        yield Node("divide", (node, whole(100 if unit == PERCENT else 1000)))
    if unit == DEGREE and _has_angle(other):
        yield Node("degrees", (node,))


def _has_angle(node: Node) -> bool:
    return node.kind == "degrees" or "pi" in constants(node) or any(map(_has_angle, node.args))


def _equations(gold: Form, answer: Form, algebra: Algebra) -> Same:
    if gold.symbol and answer.symbol:
        if gold.symbol == answer.symbol and len(gold.parts) == len(answer.parts) == 2:
            return same_form(gold.parts[1], answer.parts[1], algebra)
        if all(len(form.parts) == 2 and _is_constant(form.parts[1]) for form in (gold, answer)):
            return False
    first, second = _two_sides(gold), _two_sides(answer)
    return False if first is None or second is None else algebra.same_equation(first, second)


def _relations(gold: Form, answer: Form, algebra: Algebra) -> Same:
    if gold.ends != answer.ends:
        return False
    first, second = _two_sides(gold), _two_sides(answer)
    if first is None or second is None:
        return _in_order(gold.parts, answer.parts, algebra)
    is_directed = gold.ends != "!="
    return (algebra.same_inequality if is_directed else algebra.same_equation)(first, second)


def _is_constant(form: Form) -> bool:
    return form.node is not None and not free_symbols(form.node)


def _two_sides(equation: Form) -> Sides | None:
    nodes = [part.node for part in equation.parts]
    if len(nodes) != 2 or any(part.unit for part in equation.parts):
        return None
    left, right = nodes
    return None if left is None or right is None else (left, right)


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


def _any(found: Iterable[Same]) -> Same:
    is_open = False
    for same in found:
        if same:
            return True
        is_open = is_open or same is None
    return None if is_open else False


def _list(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Whether the parts are equal in some order."""
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
    if len(gold.parts) != len(answer.parts):
        return False
    rows = zip(gold.parts, answer.parts, strict=True)
    return _all(_in_order(row.parts, other.parts, algebra) for row, other in rows)


def _ratios(gold: Form, answer: Form, algebra: Algebra) -> Same:
    """Whether two ratios are proportional; times of day are not compared as ratios."""
    if len(gold.parts) != len(answer.parts) or None not in map(clock_minutes, (gold, answer)):
        return False
    nodes = [[part.node for part in form.parts] for form in (gold, answer)]
    if any(node is None for row in nodes for node in row):
        return False
    (first, *rest), (other, *others) = ([n for n in row if n is not None] for row in nodes)
    return _all(
        algebra.same_expression(Node("multiply", (a, other)), Node("multiply", (b, first)))
        for a, b in zip(rest, others, strict=True)
    )


def _same_node(gold: Form, answer: Form, _: Algebra) -> Same:
    return gold.node == answer.node and gold.symbol == answer.symbol


_COMPARED: dict[str, Callable[[Form, Form, Algebra], Same]] = {
    "value": _values,
    "equation": _equations,
    "relation": _relations,
    "ordered": _ordered,
    "list": _list,
    "matrix": _matrices,
    "ratio": _ratios,
    "time": _same_node,
    "based": _same_node,
}

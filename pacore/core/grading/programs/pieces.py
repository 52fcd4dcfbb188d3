"""Analyses blocks of code with Python's parser: which names they define and need, and what they do.

A text that is not Python, or is nested too deeply, is no piece. Nothing is executed; the parser takes
linear time, and limits the nesting itself.
"""

from __future__ import annotations

import ast
import html
import re
import symtable
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pacore.core.grading.programs.blocks import Block

MOST_CHARACTERS = 200_000
"""A longer text is not parsed."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

_CALLS = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)

_TEST_MODULES = frozenset(("unittest", "pytest", "doctest", "subprocess"))

_INPUTS = frozenset(("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))

_SHORT = r"Q(?:[^Q\\\n]|\\(?:.|\Z))*+(?:Q|(?=\n)|\Z)"

_LONG = r"QQQ(?:[^Q\\]|\\(?:.|\Z)|Q(?!QQ))*+(?:QQQ|\Z)"

_STRINGS = [form.replace("Q", quote) for form in (_LONG, _SHORT) for quote in ("'", '"')]

_STRING = re.compile("|".join([r"#[^\n]*+", *_STRINGS]), re.DOTALL)

_ESCAPE = re.compile(r"\\N\{[^}\n]*\}|\\[^\n{]|\\(?=\{)")

_CODE_SIGN = re.compile(r"[=(\"']|:\n|\b(?:import|return|pass|break|continue|raise|del|global)\b")
"""Every statement with an effect matches this."""

_SENTENCE = re.compile(r"[^\W\d_a-z][^=\[\]{}]*[.:!?)\u3002\uff1a\uff01]")

_NUMBER = re.compile(r"(?<![\w.])(\d[\w.]*?)(?=(?:and|else|for|if|in|is|not|or)\b)")


@dataclass(frozen=True)
class Piece:
    """A block that is Python. ``order`` is its index among all blocks.

    ``is_body``: it has ``return`` outside of functions, like the body of a function.
    """

    block: Block
    order: int
    text: str
    tree: ast.Module
    is_body: bool

    @cached_property
    def _outer(self) -> list[ast.AST]:
        """Everything outside functions and classes."""
        return list(_outside_scopes(self.tree.body))

    @cached_property
    def _names(self) -> set[str]:
        """Names and attributes anywhere in it."""
        nodes = list(ast.walk(self.tree))
        names = {node.id for node in nodes if isinstance(node, ast.Name)}
        return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}

    @cached_property
    def functions(self) -> frozenset[str]:
        """Functions and classes that it defines, with methods of a class ``Solution``; no stubs."""
        solutions = [
            node
            for node in self._outer
            if isinstance(node, ast.ClassDef) and node.name == "Solution"
        ]
        methods = [inner for solution in solutions for inner in solution.body]
        return frozenset(name for node in [*self._outer, *methods] if (name := _written(node)))

    @cached_property
    def callables(self) -> frozenset[str]:
        """`functions`, and assigned names, whose values may be functions."""
        assigned = {
            target.id
            for node in self._outer
            if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        return self.functions | assigned

    @cached_property
    def _symbols(self) -> tuple[frozenset[str], frozenset[str]]:
        """Names that it binds as a module, and names that it uses and does not bind."""
        source = _quiet(self.text)
        if self.is_body:
            source = _as_function(source)
        try:
            top = symtable.symtable(source, "program.py", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset(), frozenset()
        bound: set[str] = set()
        used: set[str] = set()
        waiting = [top]
        while waiting:
            table = waiting.pop()
            waiting += table.get_children()
            for symbol in table.get_symbols():
                if symbol.is_global() and symbol.is_referenced():
                    used.add(symbol.get_name())
                is_set = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
                if is_set and (table is top or symbol.is_global()):
                    bound.add(symbol.get_name())
        return frozenset(bound), frozenset(used - bound)

    @cached_property
    def defines(self) -> frozenset[str]:
        """Names that it binds, except those imported from modules outside the standard library."""
        foreign = {
            (alias.asname or alias.name).partition(".")[0]
            for node in self._outer
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if _module_of(node, alias) not in sys.stdlib_module_names
        }
        return self._symbols[0] - foreign

    @property
    def needs(self) -> frozenset[str]:
        """Names that it uses and does not bind, built-in ones included."""
        return self._symbols[1]

    @cached_property
    def acts(self) -> bool:
        """Whether it has a call as a statement outside of functions and classes."""
        return any(
            isinstance(node, ast.Expr) and isinstance(node.value, _CALLS) for node in self._outer
        )

    @cached_property
    def reads(self) -> bool:
        """Whether it reads standard input, somewhere in it."""
        if self._names & {"input", "stdin", "fileinput"}:
            return True
        return any(
            isinstance(node, ast.Call)
            and bool(node.args)
            and isinstance(first := node.args[0], ast.Constant)
            and (
                first.value in _INPUTS
                or (first.value == 0 and _name(node.func) in ("open", "read"))
            )
            for node in ast.walk(self.tree)
        )

    @cached_property
    def prints(self) -> bool:
        """Whether it prints, somewhere in it."""
        return bool(self._names & {"print", "stdout", "write", "writelines"})

    @cached_property
    def is_test(self) -> bool:
        """Whether it tests a program, and is not one itself."""
        imported = {
            _module_of(node, alias)
            for node in self._outer
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        if imported & _TEST_MODULES or any(map(_replaces_input, self._outer)):
            return True
        if self.functions and all(name.lower().startswith("test") for name in self.functions):
            return True
        return not self.reads and any(isinstance(node, ast.Assert) for node in self._outer)

    @property
    def is_main(self) -> bool:
        """Whether it is a complete program that reads and prints."""
        return self.acts and self.reads and self.prints and not self.is_test

    def statements(self, names: Iterable[str]) -> str:
        """The statements that bind ``names``, and those that bind names which these use."""
        wanted = set(names)
        kept: set[int] = set()
        is_more = True
        while is_more:
            is_more = False
            for place, node in enumerate(self.tree.body):
                if place not in kept and _bound(node) & wanted:
                    kept.add(place)
                    wanted |= _used(node)
                    is_more = True
        lines = self.text.split("\n")
        return "\n".join(
            "\n".join(lines[_first_line(node) - 1 : node.end_lineno])
            for place, node in enumerate(self.tree.body)
            if place in kept
        )


def read_block(block: Block, order: int) -> Piece | None:
    """The piece of a block; None where it is not Python."""
    if len(block.text) > MOST_CHARACTERS:
        return None
    text = _without_label(block.text)
    spaced = text.replace("\u00a0", " ").replace("\ufeff", "").replace("\u200b", "")
    for one in (text, spaced, html.unescape(spaced)):
        if (tree := parsed(one)) is not None:
            returns = any(isinstance(node, ast.Return) for node in _outside_scopes(tree.body))
            return Piece(block, order, one, tree, is_body=returns)
    if is_body(text):
        return Piece(block, order, text, ast.Module([], []), is_body=True)
    dedented = textwrap.dedent(spaced)
    tree = parsed(dedented)
    return None if tree is None else Piece(block, order, dedented, tree, is_body=False)


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a text; None where it is not Python or has no statement."""
    try:
        tree = ast.parse(_quiet(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if tree.body else None


def is_body(text: str) -> bool:
    """Whether a text is the body of a function, where the first line's indentation may be missing."""
    for source in (f"def _():\n    {text}", f"def _():\n{text}"):
        tree = parsed(source)
        if tree is not None and len(tree.body) >= 1 and isinstance(tree.body[0], ast.FunctionDef):
            inner = list(_outside_scopes(tree.body[0].body))
            if any(isinstance(node, ast.Return | ast.Yield) for node in inner):
                return True
    return False


_PieceKind = Literal["code", "prose", "either"]


def kind_of_chunk(text: str) -> _PieceKind:
    """``code``, ``prose``, or ``either`` for comments and blank lines, which may be part of both."""
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.split("\n")):
        return "either"
    tree = parsed(text) if _CODE_SIGN.search(text) else None
    if tree is None:
        return "prose"
    kinds = {_kind_of(node) for node in tree.body}
    return "code" if "code" in kinds else "prose" if "prose" in kinds else "either"


def is_sentence(text: str) -> bool:
    """Whether a text that is not Python begins with a sentence, not with invalid code."""
    return bool(_SENTENCE.fullmatch(text.partition("\n")[0].strip()))


def _kind_of(node: ast.stmt) -> _PieceKind:
    """The kind of a statement: words that parse as Python (``Done``, ``Answer: 7``) are prose."""
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return "prose"
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return "either"
        return "code" if isinstance(node.value, _CALLS) else "prose"
    return "code"


def _quiet(text: str) -> str:
    """A text with the same lines, in which constructs that the parser warns of are replaced.

    Warnings about a model's text must not be printed, or raised as errors.
    """
    text = _STRING.sub(lambda found: _ESCAPE.sub("_", found[0]), text)
    return _NUMBER.sub(r"\1 ", text)


def _as_function(source: str) -> str:
    return "def _():\n" + textwrap.indent(source, "    ")


def _without_label(text: str) -> str:
    """A block without a first line that is only the name of the language."""
    first, _, rest = text.lstrip("\n").partition("\n")
    return rest if first.strip().lower() in ("python", "python3", "py") else text


def _outside_scopes(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _written(node: ast.AST) -> str | None:
    """The name of a function or class that a node defines; None for a stub, and for other nodes."""
    if isinstance(node, ast.ClassDef):
        return node.name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None if all(map(_is_stub, node.body)) else node.name
    return None


def _is_stub(node: ast.stmt) -> bool:
    if isinstance(node, ast.Raise) and node.exc is not None:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return _name(raised) == "NotImplementedError"
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def _replaces_input(node: ast.AST) -> bool:
    """Whether a node replaces standard input: ``sys.stdin = io.StringIO(…)``."""
    return (
        isinstance(node, ast.Assign)
        and any(_name(target) == "stdin" for target in node.targets)
        and isinstance(node.value, ast.Call)
        and _name(node.value.func) == "StringIO"
    )


def _name(node: ast.AST) -> str | None:
    """The last part of a name: ``open``, and ``read`` of ``os.read``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _module_of(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    name = alias.name if isinstance(node, ast.Import) else node.module or ""
    return name.partition(".")[0]


def _bound(node: ast.stmt) -> set[str]:
    """Names that a statement binds in the module."""
    found: set[str] = set()
    for inner in _outside_scopes([node]):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            found |= {(one.asname or one.name).partition(".")[0] for one in inner.names}
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
    return found


def _used(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _first_line(node: ast.stmt) -> int:
    """The first line of a statement, with its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])

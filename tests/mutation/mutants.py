"""The mistakes: which places of a module can be changed, and into what.

Never touched are docstrings, annotations and type aliases, imports, decorators, what stands in a
`raise`, and the words of messages; nor `strict=` of a zip, which is an assertion, and NumPy types,
which NumPy would choose anyway. A mutant is named by what can be read, the statement before and
after, and not by line numbers, so that an explanation outlives an edit elsewhere in the file.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

NEGATED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("fmin", "fmax"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("floor", "ceil"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("exp", "expm1"),
    ("log", "log1p"),
    ("sin", "cos"),
    ("tril", "triu"),
)
SWAPPED = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
#: Calls that are replaced by what they are applied to.
UNWRAPPED = {"abs", "sqrt", "sorted", "copy", "square", "sign"}

Statement = ast.stmt


@dataclass(frozen=True)
class Mutant:
    """One mistake in one module.

    Attributes
    ----------
    module
        Name of the module, without the package.
    function
        Qualified name of the function or class around it, "" at the top of the module.
    operator
        The kind of mistake.
    before, after
        The statement (of a compound one, its first line).
    occurrence
        Which one, where a function has several with the same `before` and `after`.
    lines
        First and last line of the statement.
    at_import
        Whether it acts when the module is imported, and not when a function is called.
    index
        Its number in the module.
    """

    module: str
    function: str
    operator: str
    before: str
    after: str
    occurrence: int
    lines: tuple[int, int]
    at_import: bool
    index: int

    @property
    def name(self) -> tuple[str, str, str, str, int]:
        """What an explanation refers to."""
        return self.module, self.function, self.before, self.after, self.occurrence


@dataclass
class _Place:
    """A change that can be made in a tree and taken back.

    `result` is the statement once the change is made.
    """

    operator: str
    statement: Statement
    result: Statement
    function: str
    at_import: bool
    put: Callable[[], None]
    undo: Callable[[], None]


# --- what is mutated into what --------------------------------------------------------------------


def _name(call: ast.Call) -> str:
    """Last part of the name of what is called."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _validates(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "_validate"
    )


def _constant(node: ast.Constant) -> Iterator[tuple[str, ast.expr]]:
    value: Any = node.value
    if isinstance(value, bool):
        yield "boolean", ast.Constant(not value)
    elif isinstance(value, int):
        yield "number", ast.Constant(value + 1)
    elif isinstance(value, float):
        # A hundred more or less one is mostly a matter of taste.
        yield "number", ast.Constant(value + 1 if abs(value) < 100 else 2 * value)
    elif isinstance(value, str):
        yield "string", ast.Constant(f"XX{value}XX")


def _compare(node: ast.Compare) -> Iterator[tuple[str, ast.expr]]:
    for position, operator in enumerate(node.ops):
        for kind, table in (("negation", NEGATED), ("boundary", BOUNDARY)):
            if type(operator) in table:
                ops = list(node.ops)
                ops[position] = table[type(operator)]()
                yield kind, ast.Compare(node.left, ops, node.comparators)


def _call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    name = _name(node)
    function = node.func
    if name in SWAPPED:
        renamed = (
            ast.Attribute(function.value, SWAPPED[name], ast.Load())
            if isinstance(function, ast.Attribute)
            else ast.Name(SWAPPED[name], ast.Load())
        )
        yield "function", ast.Call(renamed, node.args, node.keywords)
    if name in UNWRAPPED:
        if len(node.args) >= 1:
            yield "unwrapped", node.args[0]
        elif isinstance(function, ast.Attribute):
            yield "unwrapped", function.value
    if _validates(node) and node.args:
        yield "validation", node.args[0]
    for position, keyword in enumerate(node.keywords):
        if keyword.arg in (None, "strict") or ast.unparse(keyword).startswith("dtype=np."):
            continue
        rest = node.keywords[:position] + node.keywords[position + 1 :]
        yield "keyword", ast.Call(node.func, node.args, rest)


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _is_plain(test: ast.expr) -> bool:
    """Whether no other operator negates this condition."""
    return not (
        isinstance(test, (ast.Compare, ast.Constant))
        or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))
    )


def expressions(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What an expression is mutated into, with the kind of the mistake."""
    if isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.Compare):
        yield from _compare(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        text = (ast.Constant, ast.JoinedStr)
        if not any(isinstance(s, text) and _is_text(s) for s in (node.left, node.right)):
            operator = ARITHMETIC[type(node.op)]()
            yield "arithmetic", ast.BinOp(node.left, operator, node.right)
    elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
        yield "unary", node.operand
    elif isinstance(node, ast.BoolOp):
        operator = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "boolean operator", ast.BoolOp(operator, node.values)
    elif isinstance(node, ast.IfExp) and _is_plain(node.test):
        yield "condition", ast.IfExp(_negated(node.test), node.body, node.orelse)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def statements(node: Statement) -> Iterator[tuple[str, Statement]]:
    """What a statement is mutated into, as a whole."""
    if isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "return", ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "deletion", ast.Pass()
    elif isinstance(node, ast.AugAssign):
        if type(node.op) in ARITHMETIC:
            operator = ARITHMETIC[type(node.op)]()
            yield "arithmetic", ast.AugAssign(node.target, operator, node.value)
    elif isinstance(node, ast.Assign) and isinstance(
        node.targets[0], (ast.Subscript, ast.Attribute)
    ):
        yield "deletion", ast.Pass()
    elif isinstance(node, ast.Break):
        yield "jump", ast.Continue()
    elif isinstance(node, ast.Continue):
        yield "jump", ast.Break()
    elif isinstance(node, ast.If):
        if len(node.body) == 1 and isinstance(node.body[0], ast.Raise) and not node.orelse:
            yield "validation", ast.Pass()
        elif _is_plain(node.test):
            yield "condition", ast.If(_negated(node.test), node.body, node.orelse)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


# --- where ----------------------------------------------------------------------------------------

_SKIPPED = (ast.Import, ast.ImportFrom, ast.Raise, ast.Pass, ast.Global, ast.Nonlocal)


def _is_left_alone(node: Statement, at_top: bool) -> bool:
    """Statements that say nothing when they run: imports, docstrings, aliases of types."""
    if isinstance(node, _SKIPPED):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if at_top and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        target = node.targets[0].id
        camel = re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", target) is not None
        literal = ast.unparse(node.value).startswith("Literal[")
        return target == "__all__" or (camel and not literal)
    return False


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield node, field, None, value
        elif isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield node, field, position, item


_LEFT_ALONE = ("annotation", "returns", "decorator_list", "format_spec", "type_params", "ctx")


#: What parameters are called that end up in messages.
_WORDS = {"name", "what", "wrong", "allowed"}


def _word_positions(tree: ast.Module) -> dict[str, set[int]]:
    """By function of the module: the positions of the arguments that end up in messages."""
    return {
        node.name: {k for k, a in enumerate(node.args.args) if a.arg in _WORDS}
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_")
    }


def _walk(
    node: ast.AST, words: bool, positions: Mapping[str, set[int]]
) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Expressions below a node that may be mutated, parents first; statements are not entered."""
    named = positions.get(_name(node), set()) if isinstance(node, ast.Call) else set()
    for parent, field, position, child in _children(node):
        if field in _LEFT_ALONE or isinstance(child, ast.stmt) or _is_strict(child):
            continue
        if field == "args" and position in named and _is_text(child):
            continue
        below = words
        if isinstance(child, ast.Call):
            messages = _validates(child) or _name(child) in {"_fail", "warn"}
            below = words and not messages and not _name(child).endswith("Error")
        if _is_text(child) and not below:
            continue
        if isinstance(child, ast.expr):
            yield parent, field, position, child
        yield from _walk(child, below, positions)


def _is_strict(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _set(parent: ast.AST, field: str, position: int | None, value: ast.AST) -> None:
    if position is None:
        setattr(parent, field, value)
    else:
        getattr(parent, field)[position] = value


def _says_what_is_allowed(node: Statement) -> bool:
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "allowed"
    )


def _places(
    body: ast.AST, positions: Mapping[str, set[int]], function: str = "", at_import: bool = True
) -> Iterator[_Place]:
    """All changes in the statements below a node."""
    for parent, field, position, child in _children(body):
        if not isinstance(child, ast.stmt):
            if isinstance(child, (ast.ExceptHandler, ast.match_case)):
                yield from _places(child, positions, function, at_import)
            continue
        if _is_left_alone(child, isinstance(body, ast.Module)):
            continue
        for operator, new in statements(child):
            put, undo = (partial(_set, parent, field, position, node) for node in (new, child))
            yield _Place(operator, child, new, function, at_import, put, undo)
        for *where, old in _walk(child, not _says_what_is_allowed(child), positions):
            for operator, changed in expressions(old):
                put, undo = (partial(_set, *where, node) for node in (changed, old))
                yield _Place(operator, child, child, function, at_import, put, undo)
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = f"{function}.{child.name}" if function else child.name
            runs = at_import and isinstance(child, ast.ClassDef)
            yield from _places(child, positions, name, runs)
        else:
            yield from _places(child, positions, function, at_import)


def _header(node: Statement) -> str:
    """A statement as one line of text; of a compound one, what stands before its colon."""
    if not hasattr(node, "body"):
        return ast.unparse(node)
    bare = copy.copy(node)
    for field in ("body", "orelse", "finalbody", "handlers", "decorator_list", "cases"):
        if hasattr(bare, field):
            setattr(bare, field, [])
    return ast.unparse(bare).strip()


def _lines(node: Statement) -> tuple[int, int]:
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, last)


def find(module: str, source: str) -> list[Mutant]:
    """All mutants of a module.

    Parameters
    ----------
    module
        Name of the module, without the package.
    source
        Its text.
    """
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: dict[tuple[str, str, str], int] = {}
    for index, place in enumerate(_places(tree, _word_positions(tree))):
        before = _header(place.statement)
        place.put()
        after = _header(place.result)
        place.undo()
        if after == before:
            continue
        key = (place.function, before, after)
        seen[key] = seen.get(key, 0) + 1
        found.append(
            Mutant(
                module,
                place.function,
                place.operator,
                before,
                after,
                seen[key],
                _lines(place.statement),
                place.at_import,
                index,
            )
        )
    return found


def mutate(source: str, index: int) -> ast.Module:
    """The tree of a module with one of its mutants.

    Parameters
    ----------
    source
        Text of the module.
    index
        Number of the mutant.

    Raises
    ------
    ValueError
        There is no such mutant.
    """
    tree = ast.parse(source)
    for number, place in enumerate(_places(tree, _word_positions(tree))):
        if number == index:
            place.put()
            return ast.fix_missing_locations(tree)
    raise ValueError(f"index is {index}; allowed: the number of a mutant of this module")

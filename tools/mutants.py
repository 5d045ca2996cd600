"""The mistakes that ``mutate.py`` makes: one wrong sign, factor, term or index at a time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = Path("src/pullback")
KINDS = ("sign", "factor", "dropped", "index")


@dataclass(frozen=True)
class Mutant:
    """One mistake: in ``file``, from ``start`` to ``stop`` the text becomes ``text``."""

    file: str
    kind: str
    line: int
    function: str
    start: int
    stop: int
    old: str
    text: str

    @property
    def name(self) -> str:
        """What identifies a mutant while lines move."""
        return f"{self.file}:{self.function}: {flat(self.old)} -> {flat(self.text) or '(nothing)'}"


def flat(text: str) -> str:
    return " ".join(text.split())


class Breaker:
    """Finds the places of one file where a mistake can be made."""

    def __init__(self, file: str, source: str) -> None:
        self.file, self.source = file, source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line.encode()))
        self.bytes = source.encode()
        self.function = ""

    def mutants(self) -> Iterator[Mutant]:
        """Every mutant of the file, in the order of the text."""
        for node in self.visit(ast.parse(self.source)):
            yield from node

    def visit(self, node: ast.AST) -> Iterator[list[Mutant]]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            outer, self.function = self.function, node.name
            yield from self.inside(node)
            self.function = outer
        else:
            yield from self.inside(node)

    def inside(self, node: ast.AST) -> Iterator[list[Mutant]]:
        yield [made for made in self.at(node) if made.text != made.old]
        for child in ast.iter_child_nodes(node):
            if not is_annotation(node, child):
                yield from self.visit(child)

    def at(self, node: ast.AST) -> Iterator[Mutant]:
        """The mistakes that can be made at just this node."""
        match node:
            case ast.Lambda(body=body) if self.file == "functions.py":
                yield from self.partial(body)
            case ast.Call(func=ast.Name("Operation"), args=[_, _, _, differential]):
                yield from self.notation(differential)
            case ast.Call(func=ast.Name("_add" | "_mul"), args=parts) if len(parts) > 1:
                yield from self.each_dropped(node, parts)
            case ast.UnaryOp(op=ast.USub(), operand=operand) if not self.is_bound(operand):
                yield self.become("sign", node, self.text(operand))
            case ast.Call(func=ast.Name("Fraction" | "number" | "_num"), args=[ast.Constant(), *_]):
                yield from self.number(node)
            case ast.BinOp(left=left, op=ast.Add(), right=right) if not is_list(left, right):
                yield self.become("sign", node, f"({self.text(left)} - {self.text(right)})")
                yield self.become("dropped", node, self.text(left))
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                yield self.become("sign", node, f"({self.text(left)} + {self.text(right)})")
                yield self.become("dropped", node, self.text(left))
            case ast.BinOp(left=left, op=ast.Mult(), right=right) if not is_list(left, right):
                yield self.become("factor", node, self.text(left))
                yield self.become("factor", node, self.text(right))
            case ast.Tuple(elts=parts, ctx=ast.Load()) | ast.List(elts=parts) if has_star(parts):
                yield from self.each_dropped(node, parts)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="append" | "extend" | "update"))):
                yield self.become("dropped", node, "pass")
            case ast.AugAssign():
                yield self.become("dropped", node, "pass")
            case ast.BoolOp(values=values):
                for k in range(len(values)):
                    kept = [self.text(v) for n, v in enumerate(values) if n != k]
                    word = " and " if isinstance(node.op, ast.And) else " or "
                    yield self.become("dropped", node, f"({word.join(kept)})")
            case ast.Subscript() if self.file == "functions.py":
                return  # an argument: see partial
            case ast.Subscript(slice=ast.Constant(value=0 | 1)):
                yield self.index(node)
            case ast.Subscript(slice=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1))):
                yield self.become("index", node, f"{self.text(node.value)}[-2]")
            case ast.Compare(ops=[op], left=left, comparators=[right]) if type(op) in OPPOSITE:
                word = OPPOSITE[type(op)]
                yield self.become("index", node, f"({self.text(left)} {word} {self.text(right)})")
            case ast.Call(func=function, args=[first, second], keywords=[]) if (
                both_names(first, second) and self.text(function) not in EITHER_WAY
            ):
                yield self.become(
                    "index", node, f"{self.text(function)}({self.text(second)}, {self.text(first)})"
                )

    def is_bound(self, operand: ast.expr) -> bool:
        """Whether a number only bounds the domain that a row of the table is sampled in."""
        value = operand.value if isinstance(operand, ast.Constant) else None
        return self.file == "functions.py" and isinstance(value, float)

    def partial(self, body: ast.expr) -> Iterator[Mutant]:
        """A partial derivative: sign, factor, and the output in the place of the argument."""
        text = self.text(body)
        yield self.become("sign", body, f"_minus({text})")
        yield self.become("factor", body, f"_mul(_num(2), {text})")
        if "y" in {n.id for n in ast.walk(body) if isinstance(n, ast.Name)}:
            yield self.become("index", body, f"(lambda y: {text})(a[0])")
        if "a[0]" in text and "a[1]" in text:
            yield self.become("index", body, f"(lambda a: {text})((a[1], a[0], *a[2:]))")
        elif "a[0]" in text:
            yield self.become("index", body, f"(lambda a: {text})((y, *a[1:]))")

    def notation(self, node: ast.expr) -> Iterator[Mutant]:
        """A differential in index notation: its signs, factors, terms and subscripts."""
        first, _ = self.span(node)
        for line in re.finditer(r"\w+\[[^\n\"]*", self.text(node)):
            old = line.group()
            start = first + len(line.string[: line.start()].encode())
            stop = start + len(old.encode())
            number = node.lineno + line.string[: line.start()].count("\n")
            for kind, pattern, change in IN_NOTATION:
                for found in re.finditer(pattern, old):
                    new = old[: found.start()] + found.expand(change) + old[found.end() :]
                    yield Mutant(self.file, kind, number, "ROWS", start, stop, old, new)

    def number(self, node: ast.Call) -> Iterator[Mutant]:
        """A literal factor: its sign, its value."""
        name = self.text(node.func)
        first = node.args[0]
        value = first.value if isinstance(first, ast.Constant) else None
        rest = "".join(f", {self.text(a)}" for a in node.args[1:])
        if isinstance(value, int) and not isinstance(value, bool):
            if value:
                yield self.become("sign", node, f"{name}({-value}{rest})")
            yield self.become("factor", node, f"{name}({value + 1}{rest})")
        elif isinstance(value, str) and name == "_num":
            yield self.become("factor", node, f"_mul(_num(2), {self.text(node)})")

    def index(self, node: ast.Subscript) -> Mutant:
        assert isinstance(node.slice, ast.Constant)
        return self.become("index", node, f"{self.text(node.value)}[{1 - node.slice.value}]")

    def each_dropped(self, node: ast.expr, parts: Sequence[ast.expr]) -> Iterator[Mutant]:
        """The same without one part."""
        for part in parts:
            start, stop = self.span(part)
            while self.bytes[stop : stop + 1] in (b" ", b"\n"):
                stop += 1
            if self.bytes[stop : stop + 1] == b",":
                stop += 1
            else:  # the last: the comma before it, unless it is all there is
                while start and self.bytes[start - 1 : start] in (b" ", b"\n"):
                    start -= 1
                if self.bytes[start - 1 : start] == b",":
                    start -= 1
            first, last = self.span(node)
            text = (self.bytes[first:start] + self.bytes[stop:last]).decode()
            if len(parts) == 2 and text.startswith("("):  # one is left
                text = f"({text[1:-1].strip(', ')},)"
            yield self.become("dropped", node, text)

    def become(self, kind: str, node: ast.AST, text: str) -> Mutant:
        start, stop = self.span(node)
        old, line = self.bytes[start:stop].decode(), node.lineno  # type: ignore[attr-defined]
        return Mutant(self.file, kind, line, self.function, start, stop, old, text)

    def span(self, node: ast.AST) -> tuple[int, int]:
        start = self.lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        stop = self.lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, stop

    def text(self, node: ast.AST) -> str:
        start, stop = self.span(node)
        text = self.bytes[start:stop].decode()
        simple = ast.Name | ast.Call | ast.Attribute | ast.Subscript | ast.Constant | ast.Tuple
        return text if isinstance(node, simple) else f"({text})"


ACCESS = r"\w+\[[\w,]*\]"
TERM = rf"(?:{ACCESS}(?:\*{ACCESS})*|\[[^\]]* [<=] [^\]]*\])"
IN_NOTATION = (
    ("sign", r"\] = -", "] = "),
    ("sign", r"^(d.*?\] = )(?!-)", r"\1-"),
    ("sign", r" - ", " + "),
    ("sign", r" \+ ", " - "),
    ("factor", rf"(?<== |\) ){ACCESS}\*", ""),
    ("factor", rf"\*{ACCESS}", ""),
    ("dropped", rf"{TERM} [+-] ", ""),
    ("dropped", rf" - sum.*| [+-] (?:1/2\*)?{TERM}", ""),
    ("index", r"(?<!^)\b(\w+)\[(\w),(\w)\]", r"\1[\3,\2]"),
)
# Functions whose arguments aren't turned round: the same either way, or an error at once.
EITHER_WAY = ("gcd", "times", "times_open", "multiply", "isinstance", "map")
OPPOSITE: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}


def is_annotation(node: ast.AST, child: ast.AST) -> bool:
    """Whether a child only says a type."""
    if isinstance(node, ast.AnnAssign):
        return child is node.annotation
    if isinstance(node, ast.arg):
        return True
    return isinstance(node, ast.FunctionDef) and child is node.returns


def is_list(*nodes: ast.expr) -> bool:
    """Whether one of them is a display or a text: joined, not added."""
    shown = ast.List | ast.Tuple | ast.JoinedStr | ast.ListComp | ast.Set
    return any(
        isinstance(n, shown) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in nodes
    )


def has_star(parts: Sequence[ast.expr]) -> bool:
    """Whether a display's length is open, so that a part can go missing unnoticed."""
    return len(parts) > 1 and any(isinstance(p, ast.Starred) for p in parts)


def both_names(first: ast.expr, second: ast.expr) -> bool:
    """Whether two arguments are plain, so that one may stand in the other's place."""
    return all(isinstance(n, ast.Name | ast.Attribute) for n in (first, second))

"""Tokens to the syntax tree: a precedence-climbing parser that knows no names, sizes or arrays.

Loosest to tightest: ``or``, ``and``, ``not``, comparisons, ``+ -``, ``* / // %``, unary minus,
``**``. A binder such as ``sum(n)`` binds the product that follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ..errors import LimitError, NotationError, PullbackError
from ..ir.expr import number
from .limits import MAX_DEPTH, MAX_INDICES, MAX_NODES, MAX_STATEMENTS, MAX_TERMS, MAX_TOWER
from .tokens import Token, exact, quoted, refuse, tokens
from .tree import (
    Bind,
    Binder,
    Call,
    Chain,
    Comparison,
    Declaration,
    Definition,
    Group,
    Iverson,
    Line,
    Logic,
    Name,
    Neg,
    Not,
    Num,
    Pad,
    Pow,
    Radix,
    Read,
    Return,
    SizeNames,
    Sum,
    Syntax,
)

LOOSEST, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(10)

LEVELS: dict[str, int] = {
    "or": OR, "and": AND,
    "=": COMPARE, "==": COMPARE, "!=": COMPARE,
    "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE,
    "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT,
    "**": POWER, "^": POWER,
}  # fmt: skip

BINDERS = frozenset({"sum", "mean", "prod", "max", "min", "argmax", "argmin"})
ALSO_FUNCTIONS = frozenset({"max", "min"})
PAD_MODES = frozenset({"edge", "reflect", "symmetric", "wrap"})
DTYPES = frozenset({
    "float", "int", "bool", "float16", "float32", "float64",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
})  # fmt: skip


class Grammar:
    """One reading of a text. ``lines()`` is all of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.position = 0
        self.depth = 0
        self.nodes = 0

    # tokens ------------------------------------------------------------------------------------

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def look(self, ahead: int) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.tokens[self.position]
        if token.kind != "eof":
            self.position += 1
        self.nodes += 1
        if self.nodes > 4 * MAX_NODES:
            self.fail(token, "the text has too many parts", kind=LimitError)
        return token

    def at(self, *texts: str) -> bool:
        token = self.next
        return token.kind in ("operator", "name") and token.text in texts

    def expect(self, text: str, purpose: str) -> Token:
        if not self.at(text):
            self.fail(self.next, f"{text!r} is missing {purpose}", found=self.describe(self.next))
        return self.take()

    def name(self, purpose: str) -> Token:
        if self.next.kind not in ("name", "quoted"):
            self.fail(self.next, f"{purpose} needs a name", found=self.describe(self.next))
        return self.take()

    def describe(self, token: Token) -> str:
        return {"eof": "the end of the text", "end": "the end of the statement"}.get(
            token.kind, repr(token.text)
        )

    def fail(
        self, place: Token | Syntax, message: str, *, expected: str = "", found: str = "",
        hint: str = "", kind: type[PullbackError] = NotationError,
    ) -> NoReturn:  # fmt: skip
        raise refuse(
            self.text, place.start, place.end, message,
            expected=expected, found=found, hint=hint, kind=kind,
        )  # fmt: skip

    # statements --------------------------------------------------------------------------------

    def lines(self) -> list[Line]:
        found: list[Line] = []
        while self.next.kind != "eof":
            if self.next.kind == "end":
                self.take()
                continue
            found.append(self.line())
            if len(found) > MAX_STATEMENTS:
                self.fail(
                    self.next, "the text has too many statements", kind=LimitError,
                    expected=f"at most {MAX_STATEMENTS}",
                )  # fmt: skip
            if self.next.kind != "end":
                self.fail(
                    self.next, "the statement goes on where it should end",
                    expected="an operator, or the end of the line",
                    found=self.describe(self.next), hint=self.juxtaposed(),
                )  # fmt: skip
        return found

    def juxtaposed(self) -> str:
        starts = self.next.kind in ("name", "quoted", "number") or self.at("(", "[")
        return "a product is written with *" if starts else ""

    def line(self) -> Line:
        first = self.next
        after = self.look(1)
        if first.kind == "name" and first.text == "return":
            return self.returned()
        if first.kind == "name" and first.text == "size" and after.kind in ("name", "quoted"):
            self.take()
            names = [self.name("a size").text]
            while self.at(","):
                self.take()
                names.append(self.name("a size").text)
            return SizeNames(first.start, self.next.start, tuple(names))
        if first.kind not in ("name", "quoted"):
            self.fail(
                first, "a statement starts with the name that it defines",
                expected="name[indices] = expression", found=self.describe(first),
                hint="end the line before in the operator, or use parentheses"
                if first.text in LEVELS else "",
            )  # fmt: skip
        return self.definition()

    def returned(self) -> Return:
        first = self.take()
        names: list[Name] = []
        while not names or self.at(","):
            if names:
                self.take()
            token = self.name("return")
            names.append(Name(token.start, token.end, token.text, True))
        return Return(first.start, names[-1].end, tuple(names))

    def definition(self) -> Definition | Declaration:
        head = self.name("a statement")
        dtype, bracketed = "", False
        items: list[tuple[Syntax, Syntax | None]] = []
        if self.at(":"):
            self.take()
            dtype = self.dtype()
        if self.at("["):
            bracketed = True
            self.take()
            items = self.items("]")
        end = self.look(-1).end if self.position else head.end
        if self.at("="):
            self.take()
            left = tuple(self.left(part, extent) for part, extent in items)
            body = self.expression(LOOSEST)
            return Definition(head.start, body.end, head.text, dtype, left, body)
        if self.next.kind == "end" and (bracketed or dtype):
            for part, extent in items:
                if extent is not None or isinstance(part, Radix):
                    self.fail(part, "a declaration has plain sizes", expected="X[N, D]")
            return Declaration(head.start, end, head.text, dtype, tuple(p for p, _ in items))
        return self.no_statement(head)

    def no_statement(self, head: Token) -> NoReturn:
        hint = ""
        if self.at("=="):
            hint = "a definition has a single ="
        elif self.look(1).text == "=" and self.at("+", "-", "*", "/"):
            hint = "nothing is changed in place: define a new name"
        elif self.next.kind == "end":
            hint = f"a scalar input is declared as {head.text}[]"
        self.fail(
            self.next if self.next.kind != "end" else head,
            "this is neither a definition nor a declaration",
            expected="name[indices] = expression, or a declaration of an input such as X[N, D]",
            found=self.describe(self.next), hint=hint,
        )  # fmt: skip

    def dtype(self) -> str:
        token = self.name("a dtype")
        if token.text not in DTYPES:
            self.fail(
                token, "an unknown dtype", found=repr(token.text),
                expected="one of " + ", ".join(sorted(DTYPES)),
                hint="inputs are real; split complex values into two arrays"
                if "complex" in token.text else "",
            )  # fmt: skip
        return token.text

    def items(self, closing: str) -> list[tuple[Syntax, Syntax | None]]:
        found: list[tuple[Syntax, Syntax | None]] = []
        while not self.at(closing):
            part = self.expression(LOOSEST)
            extent = None
            if self.at(":"):
                self.take()
                extent = self.expression(SUM)
            found.append((part, extent))
            if not self.at(closing):
                self.expect(",", f"or {closing!r}")
        self.take()
        return found

    def left(self, part: Syntax, extent: Syntax | None) -> Binder | Radix:
        if isinstance(part, Radix) and extent is None:
            return part
        if isinstance(part, Group) and isinstance(part.inner, Name) and extent is None:
            part = part.inner
        if isinstance(part, Name):
            return Binder(part.start, extent.end if extent else part.end, part.name, extent)
        self.fail(
            part, "the left side takes plain indices", expected="name[i, j] or name[i:EXTENT]",
            hint="write the values at single places with [i = 0] or where(i = 0, ..., ...)",
        )  # fmt: skip

    # expressions -------------------------------------------------------------------------------

    def expression(self, level: int) -> Syntax:
        """What binds at least as tightly as ``level``."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(
                self.next, "the expression is nested too deeply", kind=LimitError,
                expected=f"at most {MAX_DEPTH} levels",
                hint="name parts in statements of their own",
            )  # fmt: skip
        left = self.prefix()
        while True:
            token = self.next
            own = LEVELS.get(token.text, -1) if token.kind in ("operator", "name") else -1
            if own < max(level, OR):
                break
            left = INFIX[own](self, left)
        self.depth -= 1
        return left

    def prefix(self) -> Syntax:
        token = self.next
        if token.kind == "number":
            self.take()
            whole = token.text.isdigit()
            return Num(token.start, token.end, number(exact(token.text)), whole)
        if token.kind == "quoted" or (token.kind == "name" and token.text not in NO_VALUE):
            return self.named()
        handler = PREFIX.get(token.text) if token.kind in ("operator", "name") else None
        if handler is None:
            self.fail(
                token, "a value is missing", expected="a number, a name, '(' or '['",
                found=self.describe(token),
            )  # fmt: skip
        return handler(self)

    def negative(self) -> Syntax:
        minus = self.take()
        value = self.expression(UNARY)
        return Neg(minus.start, value.end, value)

    def positive(self) -> Syntax:
        plus = self.take()
        value = self.expression(UNARY)
        return Group(plus.start, value.end, value)

    def negation(self) -> Syntax:
        word = self.take()
        cond = self.expression(NOT)
        return Not(word.start, cond.end, cond)

    def iverson(self) -> Syntax:
        opening = self.take()
        cond = self.expression(LOOSEST)
        closing = self.expect("]", "after the condition")
        return Iverson(opening.start, closing.end, cond)

    def group(self) -> Syntax:
        opening = self.take()
        if self.at(")"):
            self.fail(opening, "nothing is between the parentheses")
        inner = self.expression(LOOSEST)
        if self.at(",", ":"):
            return self.radix(opening, inner)
        closing = self.expect(")", "after the expression")
        return Group(opening.start, closing.end, inner)

    def radix(self, opening: Token, first: Syntax) -> Syntax:
        found: list[Binder] = []
        part = first
        while True:
            if not isinstance(part, Name):
                self.fail(part, "only indices are merged into one axis", expected="(h, d)")
            extent = None
            if self.at(":"):
                self.take()
                extent = self.expression(SUM)
            found.append(Binder(part.start, part.end, part.name, extent))
            if self.at(")"):
                closing = self.take()
                return Radix(opening.start, closing.end, tuple(found))
            self.expect(",", "or ')'")
            part = self.expression(LOOSEST)

    def named(self) -> Syntax:
        token = self.take()
        quoted_ = token.kind == "quoted"
        if self.at("["):
            self.take()
            subs = self.arguments("]")
            return Read(token.start, self.look(-1).end, token.text, subs)
        if self.at("(") and not quoted_:
            if token.text == "pad":
                return self.pad(token)
            if token.text in BINDERS and self.binds(token):
                return self.binder(token)
            self.take()
            args = self.arguments(")")
            return Call(token.start, self.look(-1).end, token.text, args)
        return Name(token.start, token.end, token.text, quoted_)

    def arguments(self, closing: str) -> tuple[Syntax, ...]:
        found: list[Syntax] = []
        while not self.at(closing):
            found.append(self.expression(LOOSEST))
            self.count(found)
            if not self.at(closing):
                if self.at(":"):
                    self.fail(
                        self.next, "an extent is given where the index is bound",
                        hint="on the left side or in sum(i:EXTENT); there are no slices",
                    )  # fmt: skip
                self.expect(",", f"or {closing!r}")
        self.take()
        return tuple(found)

    def count(self, found: list[Syntax] | list[tuple[str, Syntax]]) -> None:
        if len(found) > MAX_TERMS:
            self.fail(
                self.next, "too many terms in one expression", kind=LimitError,
                expected=f"at most {MAX_TERMS}", hint="define parts in statements of their own",
            )  # fmt: skip

    # binders -----------------------------------------------------------------------------------

    def binds(self, token: Token) -> bool:
        """Whether ``max(...)`` opens a reduction; the other binders always do."""
        if token.text not in ALSO_FUNCTIONS:
            return True
        position, depth, plain, commas = self.position + 1, 1, True, 0
        while depth and self.tokens[position].kind != "eof":
            piece = self.tokens[position]
            if piece.kind == "operator" and piece.text in "([":
                depth += 1
                plain = False
            elif piece.kind == "operator" and piece.text in ")]":
                depth -= 1
            elif depth == 1 and piece.text in (":", "if"):
                return True
            elif piece.kind == "operator" and piece.text == ",":
                commas += 1
            elif piece.kind not in ("name", "quoted"):
                plain = False
            position += 1
        if not plain:
            return False
        after = self.tokens[min(position, len(self.tokens) - 1)]
        starts = after.kind in ("name", "quoted", "number") and after.text not in NO_VALUE
        return commas == 0 or starts or (after.kind == "operator" and after.text in ("(", "["))

    def binder(self, head: Token) -> Syntax:
        self.take()
        binders: list[Binder] = []
        which = ""
        while not self.at(")", "if"):
            token = self.name(f"{head.text}(...)")
            if self.at("of") and not binders and not which:
                self.take()
                which = token.text
                continue
            extent = None
            if self.at(":"):
                self.take()
                extent = self.expression(SUM)
            binders.append(Binder(token.start, token.end, token.text, extent))
            if not self.at(")", "if"):
                if not self.at(","):
                    self.not_indices(head)
                self.take()
        if not binders:
            self.fail(head, f"{head.text}() binds no index", expected=f"{head.text}(n) ...")
        if len(binders) > MAX_INDICES:
            self.fail(
                binders[-1].extent or self.next, "too many indices", kind=LimitError,
                expected=f"at most {MAX_INDICES}",
            )  # fmt: skip
        domain: list[Syntax] = []
        if self.at("if"):
            self.take()
            domain = list(self.arguments(")"))
        else:
            self.take()
        if head.text.startswith("arg"):
            which = self.which(head, binders, which)
        elif which:
            self.fail(head, f"{head.text} is no arg", expected=f"{head.text}(i, j) ...")
        body = self.body(head, binders)
        return Bind(head.start, body.end, head.text, tuple(binders), which, tuple(domain), body)

    def not_indices(self, head: Token) -> NoReturn:
        self.fail(
            self.next, f"{head.text}(...) takes the indices that it binds",
            expected=f"{head.text}(n) X[n], or {head.text}(p:3, q:3) ... with extents",
            found=self.describe(self.next),
        )  # fmt: skip

    def which(self, head: Token, binders: list[Binder], which: str) -> str:
        names = [b.name for b in binders]
        if not which and len(names) == 1:
            return names[0]
        if which not in names:
            self.fail(
                head, f"{head.text} over several indices says which one it gives",
                expected=f"{head.text}({quoted(names[0])} of {', '.join(map(quoted, names))}) ...",
            )  # fmt: skip
        return which

    def body(self, head: Token, binders: list[Binder]) -> Syntax:
        token = self.next
        if token.kind in ("end", "eof") or self.at(")", "]", ",", "+", *CONNECTIVES):
            names = ", ".join(quoted(b.name) for b in binders)
            self.fail(
                head, f"{head.text}({names}) binds the product that follows, and nothing follows",
                expected=f"{head.text}({names}) X[{names}]",
            )  # fmt: skip
        return self.expression(PRODUCT)

    def pad(self, head: Token) -> Syntax:
        self.take()
        array = self.name("pad(...)")
        if not self.at(","):
            self.fail(
                self.next, "pad says what is outside",
                expected="pad(X, 0)[...] or pad(X, edge)[...]",
                found=self.describe(self.next),
            )  # fmt: skip
        self.take()
        fill = self.expression(SUM)
        mode = fill.name if isinstance(fill, Name) and not fill.quoted else ""
        mode = mode if mode in PAD_MODES else ""
        self.expect(")", "after pad(...")
        if not self.at("["):
            self.fail(
                self.next, "a padded array is read with subscripts",
                expected=f"pad({quoted(array.text)}, ...)[i - 1]", found=self.describe(self.next),
            )  # fmt: skip
        self.take()
        subs = self.arguments("]")
        return Pad(head.start, self.look(-1).end, array.text, fill, mode, subs)

    # infix -------------------------------------------------------------------------------------

    def pairs(self, left: Syntax, level: int, first: str) -> tuple[tuple[str, Syntax], ...]:
        found: list[tuple[str, Syntax]] = [(first, left)]
        while self.next.kind == "operator" and LEVELS.get(self.next.text) == level:
            op = self.take().text
            found.append((op, self.expression(level + 1)))
            self.count(found)
        return tuple(found)

    def sum(self, left: Syntax) -> Syntax:
        found = self.pairs(left, SUM, "+")
        return Sum(left.start, found[-1][1].end, found)

    def chain(self, left: Syntax) -> Syntax:
        found = self.pairs(left, PRODUCT, "*")
        return Chain(left.start, found[-1][1].end, found)

    def power(self, left: Syntax) -> Syntax:
        self.take()
        exponent = self.expression(UNARY)
        tower, above = 1, exponent
        while isinstance(above := _exponent(above), Pow):
            above, tower = above.exponent, tower + 1
        if tower > MAX_TOWER:
            self.fail(
                exponent, "the tower of powers is too high", kind=LimitError,
                expected=f"at most {MAX_TOWER} powers in each other's exponents",
            )  # fmt: skip
        return Pow(left.start, exponent.end, left, exponent)

    def comparison(self, left: Syntax) -> Syntax:
        found = self.pairs(left, COMPARE, "")
        ops = tuple("==" if op == "=" else op for op, _ in found[1:])
        return Comparison(left.start, found[-1][1].end, ops, tuple(part for _, part in found))

    def logic(self, left: Syntax) -> Syntax:
        word = self.next.text
        found: list[Syntax] = [left]
        while self.at(word):
            self.take()
            found.append(self.expression(LEVELS[word] + 1))
            self.count(found)
        return Logic(left.start, found[-1].end, word, tuple(found))


def _exponent(node: Syntax) -> Syntax:
    while isinstance(node, Group | Neg):
        node = node.inner if isinstance(node, Group) else node.value
    return node


CONNECTIVES = ("and", "or", "if", "of")
NO_VALUE = frozenset({*CONNECTIVES, "not", "return"})

PREFIX: dict[str, Callable[[Grammar], Syntax]] = {
    "-": Grammar.negative,
    "+": Grammar.positive,
    "not": Grammar.negation,
    "[": Grammar.iverson,
    "(": Grammar.group,
}

INFIX: dict[int, Callable[[Grammar, Syntax], Syntax]] = {
    OR: Grammar.logic,
    AND: Grammar.logic,
    COMPARE: Grammar.comparison,
    SUM: Grammar.sum,
    PRODUCT: Grammar.chain,
    POWER: Grammar.power,
}

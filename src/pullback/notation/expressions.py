"""Expressions and conditions: a precedence-climbing parser.

Loosest to tightest: ``or``, ``and``, ``not``, comparisons, ``+ -``, ``* / // %``, unary minus,
``**``. A binder such as ``sum(n)`` binds the product that follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from ..errors import LimitError
from ..ir.expr import number
from ..opaque import ALIASES, WORDS, axes, name_of
from ..text import nearest
from .cursor import Cursor
from .levels import AND, COMPARE, LEVELS, LOOSEST, NOT, OR, POWER, PRODUCT, SUM, UNARY
from .limits import MAX_DEPTH, MAX_INDICES, MAX_TERMS, MAX_TOWER
from .tokens import Token, exact, quoted
from .tree import (
    Bind,
    Binder,
    Call,
    Chain,
    Comparison,
    Group,
    Iverson,
    Logic,
    Name,
    Neg,
    Not,
    Num,
    Operation,
    Pad,
    Pow,
    Radix,
    Read,
    Sum,
    Syntax,
)
from .words import ALSO_FUNCTIONS, BINDERS, CONNECTIVES, NO_VALUE, PAD_MODES


class Expressions(Cursor):
    """Reads expressions; knows no names, sizes or arrays."""

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
            if token.text in WORDS or token.text in ALIASES:
                return self.operation(token)
            self.take()
            args = self.arguments(")")
            if self.at("["):
                self.unknown(token)
            return Call(token.start, self.look(-1).end, token.text, args)
        return Name(token.start, token.end, token.text, quoted_)

    def operation(self, head: Token) -> Syntax:
        """An opaque operation; its result is read with subscripts, unless it is a scalar."""
        word = ALIASES.get(head.text, head.text)
        self.take()
        args = self.arguments(")")
        operands = tuple(part for part in args if isinstance(part, Name))
        if len(operands) != len(args):
            odd = next(part for part in args if not isinstance(part, Name))
            self.fail(
                odd, f"{word} takes whole arrays, by their names",
                expected=_form(word), hint="define the array in a statement of its own",
            )  # fmt: skip
        count = len(WORDS[word][0].operands)
        if len(args) != count:
            self.fail(
                head, f"{word} takes {count} array{'s' if count > 1 else ''}",
                expected=_form(word), found=str(len(args)),
            )  # fmt: skip
        subs: tuple[Syntax, ...] = ()
        if self.at("["):
            self.take()
            subs = self.arguments("]")
        elif any(axes(row.result) for row in WORDS[word]):
            self.fail(
                self.next, f"the result of {word} is read with subscripts",
                expected=_form(word), found=self.describe(self.next),
            )  # fmt: skip
        return Operation(head.start, self.look(-1).end, word, operands, subs)

    def unknown(self, head: Token) -> NoReturn:
        close = nearest(head.text, [*WORDS, *ALIASES], 1)
        self.fail(
            head, f"{head.text} is no operation on whole arrays",
            expected="one of " + ", ".join(WORDS),
            hint=f"did you mean {close[0]}?" if close else "",
        )  # fmt: skip

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


def _form(word: str) -> str:
    """How an operation is written, ``inverse(A)[i,j]``."""
    row = WORDS[word][0]
    letters = ",".join("ijk"[k] for k, _ in enumerate(axes(row.result)))
    return f"{word}({', '.join(map(name_of, row.operands))})[{letters}]"


def _exponent(node: Syntax) -> Syntax:
    while isinstance(node, Group | Neg):
        node = node.inner if isinstance(node, Group) else node.value
    return node


PREFIX: dict[str, Callable[[Expressions], Syntax]] = {
    "-": Expressions.negative,
    "+": Expressions.positive,
    "not": Expressions.negation,
    "[": Expressions.iverson,
    "(": Expressions.group,
}

INFIX: dict[int, Callable[[Expressions, Syntax], Syntax]] = {
    OR: Expressions.logic,
    AND: Expressions.logic,
    COMPARE: Expressions.comparison,
    SUM: Expressions.sum,
    PRODUCT: Expressions.chain,
    POWER: Expressions.power,
}

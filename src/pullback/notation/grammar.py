"""Statements: definitions, declarations, ``size`` and ``return``. All of a text is ``lines()``."""

from __future__ import annotations

from typing import NoReturn

from ..errors import LimitError
from .expressions import Expressions
from .levels import LEVELS, LOOSEST, SUM
from .limits import MAX_STATEMENTS
from .tokens import Token
from .tree import (
    Binder,
    Declaration,
    Definition,
    Group,
    Line,
    Name,
    Radix,
    Return,
    SizeNames,
    Syntax,
)
from .words import DTYPES


class Grammar(Expressions):
    """One reading of a text."""

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

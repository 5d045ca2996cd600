"""What terminal and LaTeX share: how an expression is laid out for a reader. Not parsed back.

A product becomes a sign, a fraction of plain factors, and the rest (sums, reductions, choices)
after it. A style says how each piece is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..ir.expr import (
    Access,
    Add,
    And,
    Apply,
    Arg,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    IndexOf,
    Inside,
    Mul,
    Not,
    Number,
    Opaque,
    Or,
    Power,
    Reduce,
    Select,
    SizeOf,
    Truth,
    Zero,
    number,
)
from ..ir.program import Define
from ..ir.sizes import FloorQuotient, Size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, SubscriptAtom, constant
from ..opaque import TABLE, Operation
from .bounds import one_sided
from .levels import AND, ATOM, COMPARE, LOOSEST, NOT, OR, POWER, PRODUCT, SUM, UNARY
from .readable import PI, readable
from .spell import sides

Displayed = Define | Expr | Cond | Subscript | Size
Term = tuple[int, str]
"""A sign, 1 or -1, and the text of a term."""


@dataclass
class Factors:
    """A product as a reader sees it: plain factors above and below the bar, the rest after it."""

    sign: int
    above: list[Expr]
    below: list[Expr]
    after: list[Expr]


def laid_out(factors: Sequence[Expr]) -> Factors:
    """A product as a fraction and what follows it."""
    out = Factors(1, [], [], [])
    for node in factors:
        match node:
            case Number(value, special) if value < 0 or special == "-inf":
                out.sign = -out.sign
                node = number(float("inf")) if special else number(-value)
                if node is not number(1):
                    out.above.append(node)
            case Power(base, exponent) if exponent < 0:
                out.below.append(base if exponent == -1 else Power(base, -exponent))
            case Reduce() | Arg() | Add() | Select() | Guard():
                out.after.append(node)
            case Number(value, "") if value == 1 and len(factors) > 1:
                pass
            case _:
                out.above.append(node)
    loose = [node for node in out.after if isinstance(node, Reduce | Arg)]
    out.after = [node for node in out.after if not isinstance(node, Reduce | Arg)] + loose
    return out


class Display(ABC):
    """The layout; subclasses are styles."""

    minus: str
    plus: str
    relations: Mapping[str, str]

    def show(self, what: Displayed) -> str:
        """The text of a statement, expression, condition, subscript or size."""
        if not isinstance(what, Size | Subscript):
            what = readable(what)
        match what:
            case Define():
                return self.define(what)
            case Size():
                return self.size(what)
            case Subscript():
                return self.sub(what)
            case Compare() | Zero() | Inside() | Divides() | And() | Or() | Not() | Truth():
                return self.cond(what, LOOSEST)
            case _:
                return self.expr(what, LOOSEST)

    def define(self, statement: Define) -> str:
        """A statement."""
        left = self.read(statement.target.name, [self.index(i) for i in statement.indices])
        return self.equation(left, self.expr(statement.body, LOOSEST))

    # what a style says -------------------------------------------------------------------------

    @abstractmethod
    def equation(self, left: str, right: str) -> str: ...

    @abstractmethod
    def read(self, name: str, subs: list[str]) -> str: ...

    @abstractmethod
    def word(self, name: str) -> str:
        """The name of an index or a size."""

    def held(self, name: str) -> int:
        """How tightly a name binds that is read: as an atom, unless a style draws it otherwise."""
        return ATOM

    def tied(self, name: str) -> str:
        """A name that something is set beside."""
        return self.word(name)

    def tall(self, node: Expr) -> bool:
        """Whether a factor is drawn so tall that it stands beside a fraction, not in it."""
        return False

    @abstractmethod
    def parenthesised(self, text: str) -> str: ...

    @abstractmethod
    def bracketed(self, text: str) -> str: ...

    @abstractmethod
    def fraction(self, above: str, below: str) -> tuple[str, int]: ...

    @abstractmethod
    def ratio(self, value: Fraction) -> tuple[str, int]:
        """A positive number."""

    @abstractmethod
    def root(self, text: str, atomic: bool) -> tuple[str, int]: ...

    @abstractmethod
    def raised(self, base: str, exponent: Fraction) -> str: ...

    @abstractmethod
    def raised_to(self, base: str, exponent: str) -> str: ...

    @abstractmethod
    def product(self, factors: list[str]) -> str: ...

    @abstractmethod
    def call(self, function: str, args: list[str]) -> str: ...

    @abstractmethod
    def form(self, row: Operation) -> str:
        """How an opaque operation is drawn."""

    @abstractmethod
    def element(self, whole: str, subs: list[str]) -> str:
        """An element of what an opaque operation gives."""

    @abstractmethod
    def reduction(self, op: str, below: str) -> str: ...

    @abstractmethod
    def choice(self, cond: str, then: str, other: str) -> tuple[str, int]: ...

    @abstractmethod
    def special(self, name: str) -> str: ...

    @abstractmethod
    def floor(self, above: str, below: str) -> str: ...

    @abstractmethod
    def modulo(self, left: str, right: str) -> str: ...

    @abstractmethod
    def connective(self, word: str) -> str: ...

    @abstractmethod
    def divisible(self, divisor: str, sub: str) -> str: ...

    # values ------------------------------------------------------------------------------------

    def expr(self, node: Expr, level: int) -> str:
        text, own = self.leveled(node)
        return text if own >= level else self.parenthesised(text)

    def leveled(self, node: Expr) -> tuple[str, int]:
        match node:
            case Number(value, special):
                if special:
                    return self.special(special), UNARY if special[0] == "-" else ATOM
                text, own = (self.word("pi"), ATOM) if node is PI else self.ratio(abs(value))
                return (f"{self.minus}{text}", min(own, UNARY)) if value < 0 else (text, own)
            case SizeOf(form):
                return self.size(form), _size_level(form)
            case IndexOf(sub):
                return self.sub(sub), _sub_level(sub)
            case Access(tensor, subs):
                return self.read(tensor.name, [self.sub(sub) for sub in subs]), self.held(
                    tensor.name
                )
            case Apply("pow", (base, exponent)):
                return self.raised_to(self.expr(base, ATOM), self.expr(exponent, LOOSEST)), POWER
            case Apply(function, args):
                return self.call(function, [self.expr(arg, LOOSEST) for arg in args]), ATOM
            case Add((Add(first), *rest)):  # a sum that begins with a sum is one sum
                return self.leveled(Add((*first, *rest)))
            case Add(terms):
                return self.summed([self.term(term) for term in terms]), SUM
            case Mul(factors):
                sign, text, own = self.multiplied(factors)
                if sign > 0:
                    return text, own
                inner = text if own >= PRODUCT else self.parenthesised(text)
                return f"{self.minus}{inner}", PRODUCT
            case Power(base, exponent):
                return self.power(base, exponent)
            case Reduce(op, indices, domain, body):
                return self.reduced(op, indices, domain, body), PRODUCT
            case Arg(op, indices, which, domain, body):
                text = self.reduced(f"arg{op}", indices, domain, body)
                if len(indices) == 1:
                    return text, PRODUCT
                return self.element(text, [self.index(indices[which])]), ATOM
            case Select(cond, then, other):
                return self.choice(
                    self.cond(cond, LOOSEST), self.expr(then, LOOSEST), self.expr(other, LOOSEST)
                )
            case Guard(cond):
                return self.bracketed(self.cond(cond, LOOSEST)), ATOM
            case Opaque(operation, operands, subs):
                row = TABLE[operation]
                whole = row.drawn(self.form(row), [self.tied(t.name) for t in operands])
                return self.element(whole, [self.sub(sub) for sub in subs]), ATOM

    def term(self, node: Expr) -> Term:
        if isinstance(node, Mul):
            sign, text, own = self.multiplied(node.factors)
            return sign, text if own >= PRODUCT else self.parenthesised(text)
        if isinstance(node, Number) and (node.value < 0 or node.special == "-inf"):
            positive = number(float("inf")) if node.special else number(-node.value)
            return -1, self.expr(positive, PRODUCT)
        return 1, self.expr(node, PRODUCT)

    def summed(self, terms: list[Term]) -> str:
        out = ""
        for sign, text in terms:
            if not out:
                out = f"{self.minus}{text}" if sign < 0 else text
            else:
                out += f" {self.minus if sign < 0 else self.plus} {text}"
        return out or "0"

    def multiplied(self, factors: tuple[Expr, ...]) -> tuple[int, str, int]:
        """A product's sign, text and level."""
        parts = laid_out(factors)
        if parts.below:
            parts.after[:0] = filter(self.tall, parts.above)
            parts.above = [node for node in parts.above if not self.tall(node)]
        pieces: list[str] = []
        if parts.below:
            above = self.side(parts.above)
            pieces.append(self.fraction(above, self.side(parts.below, below=True))[0])
        elif parts.above:
            pieces = [self.expr(node, UNARY) for node in parts.above]
        for position, node in enumerate(parts.after):
            last = position == len(parts.after) - 1
            bare = last and isinstance(node, Reduce | Arg | Select)
            alone = not pieces and len(parts.after) == 1
            pieces.append(self.expr(node, LOOSEST if alone else PRODUCT if bare else UNARY))
        if not pieces:
            return parts.sign, "1", ATOM
        if len(pieces) == 1 and len(parts.after) == 1 and not parts.above and not parts.below:
            return parts.sign, *self.leveled(parts.after[0])
        return parts.sign, self.product(pieces), PRODUCT

    def side(self, factors: list[Expr], below: bool = False) -> str:
        """The text above or below a bar."""
        if not factors:
            return "1"
        if len(factors) == 1:
            return self.expr(factors[0], self.bar_level(below))
        text = self.product([self.expr(node, UNARY) for node in factors])
        return text if self.bar_level(below) <= PRODUCT else self.parenthesised(text)

    @abstractmethod
    def bar_level(self, below: bool) -> int:
        """How tightly what stands above or below a bar has to bind."""

    def power(self, base: Expr, exponent: Fraction) -> tuple[str, int]:
        if exponent < 0:
            text = self.side([base if exponent == -1 else Power(base, -exponent)], below=True)
            return self.fraction("1", text)
        if exponent == Fraction(1, 2):
            inner, own = self.leveled(base)
            return self.root(inner, own == ATOM)
        return self.raised(self.expr(base, ATOM), exponent), POWER

    def reduced(
        self, op: str, indices: tuple[Index, ...], domain: tuple[Cond, ...], body: Expr
    ) -> str:
        below = ",".join(self.index(index) for index in indices)
        if domain:
            below += ": " + ", ".join(self.cond(cond, LOOSEST) for cond in domain)
        text = self.expr(body, PRODUCT)
        text = self.parenthesised(text) if text.startswith(self.minus) else text
        return f"{self.reduction(op, below)} {text}"

    # conditions --------------------------------------------------------------------------------

    def cond(self, node: Cond, level: int) -> str:
        text, own = self.condition(node)
        return text if own >= level else self.parenthesised(text)

    def condition(self, node: Cond) -> tuple[str, int]:
        match node:
            case And(conds) | Or(conds):
                own = AND if isinstance(node, And) else OR
                word = self.connective("and" if own == AND else "or")
                if not conds:
                    return self.special("true" if own == AND else "false"), ATOM
                return word.join(self.cond(cond, own + 1) for cond in conds), own
            case Not(Zero(sub)):
                return self.related(*sides(sub), "!="), COMPARE
            case Not(cond):
                return self.connective("not") + self.cond(cond, COMPARE), NOT
            case Truth(value):
                return self.expr(value, SUM), COMPARE
            case Compare(op, left, right):
                relation = self.relations[op]
                return f"{self.expr(left, SUM)} {relation} {self.expr(right, SUM)}", COMPARE
            case Zero(sub):
                return self.related(*sides(sub), "=="), COMPARE
            case Inside(sub, extent):
                return self.range(node, sub, extent), COMPARE
            case Divides(divisor, sub):
                return self.divisible(self.size(divisor), self.sub(sub)), COMPARE

    def related(self, left: Subscript, right: Subscript, op: str) -> str:
        return f"{self.sub(left)} {self.relations[op]} {self.sub(right)}"

    def range(self, node: Inside, sub: Subscript, extent: Size) -> str:
        least, most = sides(sub)
        if one_sided(sub, constant(extent)) is node:
            return self.related(sub, constant(extent), "<")
        if least.terms and one_sided(most, least + 1) is node:
            return self.related(most, least, "<=")
        less, at_most = self.relations["<"], self.relations["<="]
        return f"0 {at_most} {self.sub(sub)} {less} {self.size(extent)}"

    # sizes and subscripts ----------------------------------------------------------------------

    def index(self, index: Index) -> str:
        return self.word(index.name)

    def size(self, form: Size) -> str:
        terms = sorted(form.terms, key=lambda term: (not term[0], term[1] < 0))
        shown: list[Term] = []
        for mono, n in terms:
            factors = [self.size_atom(atom) for atom in mono]
            if abs(n) != 1 or not factors:
                factors.insert(0, str(abs(n)))
            shown.append((-1 if n < 0 else 1, self.tight(factors)))
        return self.close(shown)

    def size_atom(self, atom: str | FloorQuotient) -> str:
        if isinstance(atom, str):
            return self.word(atom)
        above = _grouped(self.size(atom.numerator), _size_level(atom.numerator), PRODUCT)
        return self.floor(above, self.divisor(atom.denominator))

    def divisor(self, form: Size) -> str:
        return _grouped(self.size(form), _size_level(form), ATOM)

    def sub(self, sub: Subscript) -> str:
        shown: list[Term] = []
        for atom, n in sub.terms:
            text = self.atom(atom)
            if isinstance(atom, Remainder) and sub.atom is None:
                text = f"({text})"
            if n.literal is None:
                less = _size_level(n) == UNARY
                factor = self.size(n * -1 if less else n)
                factor = factor if _size_level(n) >= PRODUCT else self.parenthesised(factor)
                shown.append((-1 if less else 1, self.tight([factor, text])))
            else:
                times = [] if abs(n.literal) == 1 else [str(abs(n.literal))]
                shown.append((-1 if n.literal < 0 else 1, self.tight([*times, text])))
        if sub.const.terms or not shown:
            text = self.size(sub.const)
            negative = text.startswith(self.minus)
            shown.append((-1, text[len(self.minus) :]) if negative else (1, text))
        return self.close(shown)

    def close(self, terms: list[Term]) -> str:
        """A sum without spaces, starting with a term that is added if there is one."""
        if not terms:
            return "0"
        lead = next((k for k, (sign, _) in enumerate(terms) if sign > 0), 0)
        terms.insert(0, terms.pop(lead))
        out = ""
        for sign, text in terms:
            out += (self.minus if sign < 0 else self.plus if out else "") + text
        return out

    def atom(self, atom: SubscriptAtom) -> str:
        match atom:
            case Index():
                return self.index(atom)
            case Quotient(value, divisor):
                above = _grouped(self.sub(value), _sub_level(value), PRODUCT)
                return self.floor(above, self.divisor(divisor))
            case Remainder(value, divisor):
                inner = self.sub(value)
                inner = inner if _sub_level(value) == ATOM else self.parenthesised(inner)
                return self.modulo(inner, self.divisor(divisor))
            case Lookup(access):
                return self.read(access.tensor.name, [self.sub(sub) for sub in access.subs])

    @abstractmethod
    def tight(self, factors: list[str]) -> str:
        """A product inside a subscript."""


def _grouped(text: str, level: int, least: int) -> str:
    return text if level >= least else f"({text})"


def _size_level(form: Size) -> int:
    if len(form.terms) > 1:
        return SUM
    ((mono, n),) = form.terms or (((), 0),)
    if n < 0:
        return UNARY
    return ATOM if len(mono) + (n != 1) <= 1 else PRODUCT


def _sub_level(sub: Subscript) -> int:
    if isinstance(sub.atom, Remainder):
        return SUM
    if sub.atom is not None:
        return ATOM
    if not sub.terms:
        return _size_level(sub.const)
    return PRODUCT if len(sub.terms) == 1 and not sub.const.terms else SUM

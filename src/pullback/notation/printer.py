"""The text of the parts of one statement, by one table of precedences: the grammar's own.

A part that would be read as something else (a sum of sizes as one size, a comparison of positions
as a range) is marked by ``value(...)``, ``index(...)`` or ``size(...)``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

from ..ir.expr import (
    ONE,
    ZERO,
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
    Tensor,
    Truth,
    Zero,
)
from ..ir.program import Define
from ..ir.sizes import Size, size
from ..ir.subscripts import Index, Quotient, Remainder, Subscript, at, constant
from ..ir.walk import (
    Tree,
    bound_indices,
    children,
    free_indices,
    fresh,
    nodes,
    rebuild,
    substitute,
)
from ..opaque import TABLE, is_told
from .bounds import has_lookup, one_sided, pad_conditions
from .dtypes import natural_dtype
from .levels import AND, ATOM, COMPARE, LOOSEST, NOT, OR, POWER, PRODUCT, SUM, UNARY
from .program_sizes import tree_sizes
from .purity import IMPURE, INDEX, LOOKUP, NUMBER, SIZE
from .readable import PI
from .spell import Spelling, is_fraction, is_plain_integer, show_magnitude, sides
from .tokens import quoted
from .words import ALSO_FUNCTIONS


def needs_extent(index: Index, trees: tuple[Tree, ...], ahead: Collection[Tensor] = ()) -> bool:
    """Whether an index's extent has to be written, because no unshifted read gives it.

    What is read ``ahead`` of its definition gives none.
    """
    found = False
    for tree in trees:
        for node in nodes(tree):
            if isinstance(node, Opaque):
                for k, sub in enumerate(node.subs):
                    told = is_told(TABLE[node.operation], k - len(node.subs))
                    found = found or (told and sub.index is index)
            if isinstance(node, Access):
                for sub, extent in zip(node.subs, node.tensor.shape, strict=True):
                    if sub.index is index:
                        if extent is not index.extent:
                            return True
                        found = found or node.tensor not in ahead
    return not found


E = TypeVar("E", bound=Tree)


def unshadowed(tree: E, scope: tuple[Index, ...]) -> E:
    """The same with other letters for bound indices that hide one around them: text can't."""
    taken = {index.name for index in scope}
    if isinstance(tree, Reduce | Arg):
        taken |= {index.name for index in free_indices(tree)}
        hiding = [index for index in tree.indices if index.name in taken]
        taken |= {index.name for index in tree.indices}
        places = {index: at(fresh(index, taken)) for index in hiding}
        inner = tuple(substitute(child, places) for child in children(tree))
        indices = tuple(places[i].index or i if i in places else i for i in tree.indices)
        inner = tuple(unshadowed(child, (*scope, *indices)) for child in inner)
        return rebuild(replace(tree, indices=indices), inner)  # type: ignore[return-value]
    inner = tuple(unshadowed(child, scope) for child in children(tree))
    return rebuild(tree, inner)  # type: ignore[return-value]


class Printer:
    """Prints the parts of one statement."""

    def __init__(
        self,
        spelling: Spelling,
        bracketed: Collection[str] = (),
        ahead: Collection[Tensor] = (),
    ) -> None:
        self.spelling = spelling
        self.bracketed = bracketed
        self.ahead = ahead
        self.breaking = False
        self.readable = False

    @classmethod
    def of(cls, trees: tuple[Tree, ...], scope: tuple[Index, ...], *, exact: bool) -> Printer:
        """For trees outside a program."""
        letters = {i.name for tree in trees for i in (*bound_indices(tree), *scope)}
        scalars = {
            node.tensor.name for tree in trees for node in nodes(tree)
            if isinstance(node, Access) and not node.subs
        }  # fmt: skip
        sizes = {name for tree in trees for form in tree_sizes(tree) for name in form.names()}
        spelling = Spelling(frozenset(letters | scalars), () if exact else None)
        printer = cls(spelling, frozenset(letters | sizes))
        printer.readable = not exact
        return printer

    def define(self, statement: Define) -> str:
        """A statement."""
        target = statement.target
        body = unshadowed(statement.body, statement.indices)
        natural = "float" if target in self.ahead else natural_dtype(body)
        plain = self.readable and isinstance(body, Number)
        kind = "" if target.dtype == natural or plain else f": {target.dtype}"
        left = ",".join(self.binder(i, (body,), self.ahead) for i in statement.indices)
        brackets = f"[{left}]" if statement.indices else ""
        return f"{quoted(target.name)}{kind}{brackets} = {self.whole(body)}"

    def binder(self, index: Index, trees: tuple[Tree, ...], ahead: Collection[Tensor] = ()) -> str:
        """An index where it is bound."""
        if needs_extent(index, trees, ahead):
            return f"{quoted(index.name)}:{Spelling().size(index.extent)}"
        return quoted(index.name)

    # kinds -------------------------------------------------------------------------------------

    def kind(self, node: Expr) -> int:
        """What the parser would find in the text of a value: see ``Lower.kind``."""
        match node:
            case Number():
                return NUMBER if is_plain_integer(node) else IMPURE
            case IndexOf():
                return INDEX
            case SizeOf():
                return SIZE
            case Access(tensor, _):
                return LOOKUP if tensor.kind == "int" else IMPURE
            case Add(parts) if len(parts) > 1:
                total = NUMBER
                for part in parts:
                    total |= self.kind(part)
                return total
            case Mul(parts) if len(parts) > 1:
                kinds = [self.kind(part) for part in parts]
                if sum(bool(k & (INDEX | LOOKUP)) for k in kinds) > 1:
                    return IMPURE
                total = NUMBER
                for k in kinds:
                    total |= k
                return total
            case _:
                return IMPURE

    # values ------------------------------------------------------------------------------------

    def whole(self, node: Expr) -> str:
        """A value that stands alone: in parentheses, as an argument, as a right side."""
        match node:
            case IndexOf(sub):
                return self.leaf(self.position(sub, whole=True))
            case SizeOf(form):
                return self.leaf(self.size_value(form, whole=True))
            case Add() | Mul():
                kind = self.kind(node)
                if not kind & (IMPURE | LOOKUP) and kind & (INDEX | SIZE):
                    self.breaking = True
                return self.expr(node, LOOSEST)
            case _:
                return self.expr(node, LOOSEST)

    def leaf(self, text: str) -> str:
        """A position or size as a value, marked if the sum that it is in is none."""
        if self.breaking:
            self.breaking = False
            return f"value({text})"
        return text

    def position(self, sub: Subscript, whole: bool) -> str:
        text = self.spelling.affine(sub)
        if has_lookup(sub) or not _has_index(sub):
            return f"index({text})"
        return text if whole or sub.index is not None else f"({text})"

    def size_value(self, form: Size, whole: bool) -> str:
        if form.literal is not None:
            return f"size({form.literal})"
        text = self.spelling.size(form)
        return text if whole or form.terms == size(form.names()[0]).terms else f"({text})"

    def expr(self, node: Expr, level: int) -> str:
        """A value where at least ``level`` binds it."""
        text, own = self.leveled(node)
        return text if own >= level else f"({self.whole(node)})"

    def leveled(self, node: Expr) -> tuple[str, int]:
        """The text of a value, and how tightly it binds."""
        match node:
            case Number():
                return self.number(node)
            case SizeOf(form):
                return self.leaf(self.size_value(form, whole=False)), ATOM
            case IndexOf(sub):
                return self.leaf(self.position(sub, whole=False)), ATOM
            case Access():
                return self.access(node), ATOM
            case Apply(function, args):
                return self.apply(function, args)
            case Add(terms):
                return self.add(terms)
            case Mul(factors):
                return self.mul(factors)
            case Power(base, exponent):
                return self.power(base, exponent)
            case Reduce(op, indices, domain, body):
                return self.bind(op, indices, domain, body), PRODUCT
            case Arg(op, indices, which, domain, body):
                which_name = "" if len(indices) == 1 else f"{quoted(indices[which].name)} of "
                return self.bind(f"arg{op}", indices, domain, body, which_name), PRODUCT
            case Select(cond, then, other):
                return self.select(cond, then, other), ATOM
            case Guard(cond):
                return f"[{self.cond(cond, LOOSEST)}]", ATOM
            case Opaque(operation, operands, subs):
                names = ", ".join(quoted(tensor.name) for tensor in operands)
                word = TABLE[operation].spelled
                return f"{word}({names})[{self.spelling.subs(subs)}]", ATOM

    def number(self, node: Number) -> tuple[str, int]:
        if node.special:
            return node.special, UNARY if node.special.startswith("-") else ATOM
        if node is PI:
            return "pi", ATOM
        text = show_magnitude(abs(node.value))
        if is_fraction(node):
            return ("-" if node.value < 0 else "") + text, PRODUCT
        return (f"-{text}", UNARY) if node.value < 0 else (text, ATOM)

    def access(self, node: Access) -> str:
        name = node.tensor.name
        if node.subs or name in self.bracketed:
            return self.spelling.read(node)
        return quoted(name)

    def apply(self, function: str, args: tuple[Expr, ...]) -> tuple[str, int]:
        if function == "pow" and len(args) == 2 and not _constant(args[1]):
            return f"{self.expr(args[0], ATOM)}**{self.expr(args[1], UNARY)}", POWER
        return f"{function}({', '.join(map(self.whole, args))})", ATOM

    def select(self, cond: Cond, then: Expr, other: Expr) -> str:
        padded = isinstance(then, Access) and isinstance(other, Number) and other is not ZERO
        if padded and isinstance(then, Access):
            conds = pad_conditions(then.subs, then.tensor.shape)
            if conds and cond is (conds[0] if len(conds) == 1 else And(conds)):
                return self.padded(then, self.whole(other))
        return f"where({self.cond(cond, LOOSEST)}, {self.whole(then)}, {self.whole(other)})"

    def padded(self, access: Access, fill: str) -> str:
        return f"pad({quoted(access.tensor.name)},{fill})[{self.spelling.subs(access.subs)}]"

    # sums --------------------------------------------------------------------------------------

    def add(self, terms: tuple[Expr, ...]) -> tuple[str, int]:
        if len(terms) < 2:
            return f"add({', '.join(map(self.whole, terms))})", ATOM
        out = ""
        for term in terms:
            negative, text = self.term(term)
            if not out:
                out = f"-{text}" if negative else text
            else:
                out += f" {'-' if negative else '+'} {text}"
        return out, SUM

    def term(self, node: Expr) -> tuple[bool, str]:
        """A term: whether it is subtracted, and its text without that sign."""
        if isinstance(node, Mul) and len(node.factors) > 1:
            return self.chain(node.factors)
        if isinstance(node, Number) and _is_negative(node):
            return True, self.expr(node, PRODUCT)[1:]
        return False, self.expr(node, PRODUCT)

    # products ----------------------------------------------------------------------------------

    def mul(self, factors: tuple[Expr, ...]) -> tuple[str, int]:
        if len(factors) < 2:
            return f"mul({', '.join(map(self.whole, factors))})", ATOM
        negative, text = self.chain(factors)
        return ("-" if negative else "") + text, PRODUCT

    def chain(self, factors: tuple[Expr, ...]) -> tuple[bool, str]:
        """A product: whether it starts with a minus sign, and the text after that sign."""
        first = factors[0]
        negative = isinstance(first, Number) and _is_negative(first)
        out, position, literal = "", 0, False
        if isinstance(first, Number):
            position = 1
            out = self.lead(first, factors[1:])
            literal = bool(out)
        while position < len(factors):
            text, used = self.factor(factors, position, literal and position == 1, bool(out))
            if not out:
                out = text
            elif text.startswith("/"):
                out += text
            else:
                out += f"*{text}"
            position += used
        return negative, out

    def lead(self, first: Number, rest: tuple[Expr, ...]) -> str:
        """The literal that starts a product, without its sign; -1 shows as the sign only."""
        if first.special:
            return first.special.lstrip("-")
        second = rest[0]
        divides = isinstance(second, Power) and second.exponent < 0
        if divides and isinstance(second, Power) and len(rest) == 2:
            divides = not self.mean(second, rest[1])
        if first.value == -1 and not divides and not isinstance(second, Number):
            return ""
        return show_magnitude(abs(first.value))

    def factor(
        self, factors: tuple[Expr, ...], position: int, after_literal: bool, follows: bool
    ) -> tuple[str, int]:
        """The text of a factor (starting with / if it divides), and how many factors it takes."""
        node, last = factors[position], position == len(factors) - 1
        if isinstance(node, Power) and node.exponent < 0:
            if position + 2 == len(factors) and (mean := self.mean(node, factors[-1])):
                return mean, 2
            return self.divided(node, factors, after_literal, follows), 1
        if isinstance(node, Guard):
            padded = self.zero_padded(factors, position)
            if padded is not None:
                return padded
        if isinstance(node, Reduce | Arg):
            return self.expr(node, PRODUCT if last else UNARY), 1
        return self.expr(node, UNARY if follows else POWER), 1

    def divided(
        self, node: Power, factors: tuple[Expr, ...], after_literal: bool, follows: bool
    ) -> str:
        """A factor with a negative exponent, as a division where that reads back the same."""
        literal = isinstance(node.base, Number) and not self.readable
        one = after_literal and factors[0] is ONE
        if node.base is ZERO or (literal and (after_literal or not follows)) or one:
            return self.raised(node)
        under = self.under(node)
        return f"/{under}" if follows else f"1/{under}"

    def under(self, node: Power) -> str:
        """What stands below the bar for a power with a negative exponent."""
        if node.exponent != -1:
            return self.expr(Power(node.base, -node.exponent), POWER)
        if isinstance(node.base, Power):
            return f"({self.whole(node.base)})"
        return self.expr(node.base, POWER)

    def raised(self, node: Power) -> str:
        return f"{self.expr(node.base, ATOM)}**{_exponent(node.exponent)}"

    def power(self, base: Expr, exponent: Fraction) -> tuple[str, int]:
        node = Power(base, exponent)
        if exponent == Fraction(1, 2):
            return f"sqrt({self.whole(base)})", ATOM
        if exponent < 0 and (self.readable or not isinstance(base, Number)):
            return f"1/{self.under(node)}", PRODUCT
        return self.raised(node), POWER

    def mean(self, count: Power, body: Expr) -> str:
        """``mean(n) ...`` if the two factors are exactly that, else ""."""
        match count, body:
            case Power(SizeOf(form), exponent), Reduce("sum", indices, (), inner) if exponent == -1:
                whole = size(1)
                for index in indices:
                    whole = whole * index.extent
                return self.bind("mean", indices, (), inner) if whole is form else ""
            case _:
                return ""

    def zero_padded(self, factors: tuple[Expr, ...], position: int) -> tuple[str, int] | None:
        """``pad(X,0)[...]`` for the guards and the read that it stands for."""
        conds: list[Cond] = []
        for node in factors[position:]:
            if isinstance(node, Guard):
                conds.append(node.cond)
                continue
            if isinstance(node, Access) and node.subs:
                needed = pad_conditions(node.subs, node.tensor.shape)
                if needed == tuple(conds):
                    return self.padded(node, "0"), len(conds) + 1
            return None
        return None

    # binders -----------------------------------------------------------------------------------

    def bind(
        self, op: str, indices: tuple[Index, ...], domain: tuple[Cond, ...], body: Expr,
        which: str = "",
    ) -> str:  # fmt: skip
        trees: tuple[Tree, ...] = (*domain, body)
        breaking, self.breaking = self.breaking, False
        binders = ", ".join(self.binder(index, trees) for index in indices)
        conds = ", ".join(self.cond(cond, LOOSEST) for cond in domain)
        text = self.expr(body, PRODUCT)
        if text.startswith("-") and op in ALSO_FUNCTIONS:
            text = f"({self.whole(body)})"
        self.breaking = breaking
        return f"{op}({which}{binders}{' if ' if domain else ''}{conds}) {text}"

    # conditions --------------------------------------------------------------------------------

    def cond(self, node: Cond, level: int) -> str:
        """A condition where at least ``level`` binds it."""
        outer, self.breaking = self.breaking, False
        text, own = self.condition(node)
        self.breaking = outer
        return text if own >= level else f"({text})"

    def condition(self, node: Cond) -> tuple[str, int]:
        match node:
            case And(conds) | Or(conds):
                word, own = ("and", AND) if isinstance(node, And) else ("or", OR)
                if len(conds) < 2:
                    inner = ", ".join(self.cond(cond, LOOSEST) for cond in conds)
                    return f"{'all' if word == 'and' else 'any'}({inner})", ATOM
                return f" {word} ".join(self.cond(cond, own + 1) for cond in conds), own
            case Not(Zero(sub)):
                return self.equality(sub, "!="), COMPARE
            case Not(cond):
                return f"not {self.cond(cond, NOT)}", NOT
            case Truth(value):
                return self.whole(value), SUM
            case Compare(op, left, right):
                return self.comparison(op, left, right), COMPARE
            case Zero(sub):
                return self.equality(sub, "="), COMPARE
            case Inside(sub, extent):
                return self.range(node, sub, extent), COMPARE
            case Divides(divisor, sub):
                text = self.spelling.dividend(sub)
                if not _has_index(sub) and sub.terms:
                    text = f"index({self.spelling.affine(sub)})"
                return f"{text} % {self.divisor(divisor)} = 0", COMPARE

    def divisor(self, form: Size) -> str:
        text = self.spelling.size(form)
        return (
            text
            if form.literal is not None or (len(form.terms) == 1 and text.isidentifier())
            else (f"({text})")
        )

    def comparison(self, op: str, left: Expr, right: Expr) -> str:
        kinds = self.kind(left) | self.kind(right)
        if op in ("==", "!="):
            folded = not kinds & IMPURE and (kinds & INDEX or kinds == SIZE)
        else:
            folded = not kinds & (IMPURE | LOOKUP) and kinds & (INDEX | SIZE)
        one = self.whole(left)
        return f"{f'value({one})' if folded else one} {op} {self.whole(right)}"

    def equality(self, sub: Subscript, op: str) -> str:
        left, right = sides(sub)
        one, other = self.spelling.affine(left), self.spelling.affine(right)
        bare = _has_index(sub) or (not sub.terms and sub.const.literal is None)
        divides = other == "0" and isinstance(left.atom, Remainder)
        return f"{one if bare and not divides else f'index({one})'} {op} {other}"

    def range(self, node: Inside, sub: Subscript, extent: Size) -> str:
        """``0 <= sub < extent``, or the side of it that does not always hold."""
        text, above = self.spelling.affine(sub), self.spelling.size(extent)
        if has_lookup(sub) or not _has_index(sub):
            return f"0 <= index({text}) < {above}"
        if one_sided(sub, constant(extent)) is node:
            return f"{text} < {above}"
        least, most = sides(sub)
        if least.terms and one_sided(most, least + 1) is node:
            return f"{self.spelling.affine(most)} <= {self.spelling.affine(least)}"
        return f"0 <= {text} < {above}"


def _has_index(sub: Subscript) -> bool:
    """Whether an index stands in a subscript outside lookups."""
    return any(
        isinstance(atom, Index)
        or (
            isinstance(atom, Quotient | Remainder)
            and (_has_index(atom.value) or not atom.value.terms)
        )
        for atom, _ in sub.terms
    )


def _is_negative(value: Number) -> bool:
    return value.value < 0 or value.special == "-inf"


def _constant(node: Expr) -> bool:
    """Whether an exponent would be read as a literal."""
    match node:
        case Number(_, special):
            return not special
        case Add(parts) | Mul(parts):
            return all(map(_constant, parts))
        case Power(base, _):
            return _constant(base)
        case _:
            return False


def _exponent(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    if value.denominator > 10 and 10**20 % value.denominator == 0:
        sign = "-" if value < 0 else ""
        return sign + show_magnitude(abs(value))
    return f"({value.numerator}/{value.denominator})"

"""MathML of expressions and statements: formulas for a browser, without a script or a font."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from html import escape
from typing import assert_never

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
    Tensor,
    Truth,
    Zero,
)
from ..ir.program import Define
from ..ir.sizes import FloorQuotient, Size, SizeAtom
from ..ir.subscripts import (
    Index,
    Lookup,
    Quotient,
    Remainder,
    Subscript,
    SubscriptAtom,
    constant,
    is_name,
)
from ..ir.walk import Tree
from ..notation.bounds import one_sided
from ..notation.letters import GREEK, Letter, letter
from ..notation.readable import PI, readable
from ..notation.spell import show_magnitude, sides
from ..opaque import TABLE, name_of

_PIECES = re.compile(r"@[A-Za-z]|⁻¹|⁻ᵀ|[|·]|\w+")
_HIGH = {"⁻¹": "<mn>1</mn>", "⁻ᵀ": '<mi mathvariant="normal">&#x22a4;</mi>'}

# Binding strengths: what stands below its surroundings' strength is put in parentheses.
SUM, PRODUCT, PREFIX, ATOM = range(4)
ALL, ANY, TEST = range(3)

ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙", "vec": "→"}
FUNCTIONS = {"sigmoid": "σ", "maximum": "max", "minimum": "min"}
FENCES = {"abs": "||", "floor": "⌊⌋", "ceil": "⌈⌉"}
REDUCTIONS = {"sum": "∑", "prod": "∏", "max": "max", "min": "min"}
COMPARISONS = {"<": "<", "<=": "≤", "==": "=", "!=": "≠"}
MIRRORED = {"<": ">", "<=": "≥", "==": "=", "!=": "≠"}
# Letters of a formula above which it is set on several lines.
WIDEST = 60
# Digits of a long decimal that are shown.
DIGITS = 7

_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: str) -> str:
    """``value`` escaped for XML and HTML; what XML can't hold becomes U+FFFD.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return escape(_UNPRINTABLE.sub("\ufffd", value))


def math(
    content: Define | Tree | Sequence[str],
    *,
    roles: Mapping[str, str] = {},
    alt: str = "",
    block: bool = False,
) -> str:
    """The ``<math>`` element of a statement, an expression, a condition, or ready rows.

    ``roles`` gives tensors, by name, a class of the style sheet; names of the class "gradient" have
    their leading d set apart. ``alt`` is the text for who can't see it.

    >>> from pullback.ir.expr import number
    >>> math(number(2))
    '<math><mn>2</mn></math>'
    """
    if isinstance(content, Define):
        inner = MathML(roles).statement(readable(content))
    elif isinstance(content, list | tuple):
        inner = "".join(content)
    else:
        inner = MathML(roles).tree(readable(content))  # type: ignore[arg-type]
    display = ' display="block"' if block else ""
    spoken = f' alttext="{text(alt)}"' if alt else ""
    return f"<math{display}{spoken}>{inner}</math>"


class MathML:
    """A printer of MathML; every method returns the markup of one element."""

    def __init__(self, roles: Mapping[str, str] = {}) -> None:
        self.roles = roles

    # Statements and the parts that all formulas share

    def statement(self, define: Define) -> str:
        """``target = body``, on several lines where it is long."""
        left, right = self.expr(define.access), self.expr(define.body)
        lines = [right] if visible(right) <= WIDEST else _filled(self.pieces(define.body))
        if len(lines) == 1:
            return row(left, op("="), right)
        first, *rest = lines
        rows = [[left, op("="), first], *(["<mrow/>", "<mrow/>", line] for line in rest)]
        return _table(rows, ' class="lines"')

    def pieces(self, body: Expr) -> list[str]:
        """A value in pieces that may stand on lines below each other."""
        match body:
            case Add(terms) if len(terms) > 1:
                return [row(*self._term(term, k > 0)) for k, term in enumerate(terms)]
            case Reduce("sum", indices, domain, Mul() as inner) if not _fraction(inner.factors)[1]:
                first, *rest = self.pieces(inner)
                return [row(_big("∑", self._under(indices, domain)), first), *rest]
            case Mul(factors) if not _sign(body)[0] and len(factors) > 1:
                return self._factor_pieces(factors)
            case _:
                return [self.expr(body)]

    def _factor_pieces(self, factors: tuple[Expr, ...]) -> list[str]:
        """The factors; a sum at the end, in its parentheses, term by term."""
        *head, last = factors
        if isinstance(last, Add) and len(last.terms) > 1 and not isinstance(head[-1], Reduce | Arg):
            first, *middle, end = self.pieces(last)
            lead = self.expr(head[0], ATOM) if len(head) == 1 else self._product(tuple(head))[1]
            if visible(lead) <= WIDEST:
                return [row(lead, times(), _paren("("), first), *middle, row(end, _paren(")"))]
        if _fraction(factors)[1]:
            return [self.expr(Mul(factors))]
        drawn = [self.expr(f, ATOM) for f in head] + [self.expr(last, PREFIX)]
        return [drawn[0], *(row(times(), piece) for piece in drawn[1:])]

    def tree(self, node: Tree) -> str:
        """An expression or a condition."""
        if isinstance(node, Compare | Zero | Inside | Divides | And | Or | Not | Truth):
            return self.cond(node)
        return self.expr(node)

    def name(self, tensor: Tensor) -> str:
        """A tensor's name."""
        return self.read(tensor, "")

    def read(self, tensor: Tensor, below: str, exponent: str = "") -> str:
        """A tensor's name with its indices below and an exponent, in the colour of its role."""
        role = self.roles.get(tensor.name, "")
        parts = _parts(tensor.name, role == "gradient")
        base, low, high = _stem(parts), [below] if below else [], []
        if parts.label:
            low.insert(0, f"<mtext>{text(parts.label)}</mtext>")
        if parts.number and below:
            high.append(parens(f"<mn>{parts.number}</mn>"))
        elif parts.number:
            low.append(f"<mn>{parts.number}</mn>")
        if parts.primes:
            high.append(_primes(parts))
        if high and exponent:
            drawn = f"<msup>{parens(_scripts(base, low, high))}{exponent}</msup>"
        else:
            drawn = _scripts(base, low, [*high, exponent] if exponent else high)
        return f'<mrow class="{text(role)}">{drawn}</mrow>' if role else drawn

    # Values

    def expr(self, node: Expr, outer: int = SUM) -> str:
        """A value, in parentheses where it binds less than ``outer``."""
        strength, drawn = self._expr(node)
        return parens(drawn) if strength < outer else drawn

    def _expr(self, node: Expr) -> tuple[int, str]:
        match node:
            case Number():
                return _number(node)
            case SizeOf(value):
                return (ATOM if _is_atom(value) else SUM), self.size(value)
            case IndexOf(sub):
                return (ATOM if sub.atom is not None or not sub.terms else SUM), self.subscript(sub)
            case Access(tensor, subs):
                return ATOM, self.read(tensor, self._subscripts(subs))
            case Apply(function, args):
                return ATOM, self._apply(function, args)
            case Add(terms):
                return SUM, self._sum(terms)
            case Mul(factors):
                return self._product(factors)
            case Power(base, exponent):
                return self._power(base, exponent)
            case Reduce(name, indices, domain, body):
                sign = _big(REDUCTIONS[name], self._under(indices, domain))
                return PREFIX, row(sign, self.expr(body, PRODUCT))
            case Arg(name, indices, which, domain, body):
                return PREFIX, self._arg(name, indices, which, domain, body)
            case Select(cond, then, other):
                return SUM, self._select(cond, then, other)
            case Guard(cond):
                return ATOM, fenced("[", self.cond(cond), "]")
            case Opaque():
                return ATOM, self._opaque(node)
            case _:
                assert_never(node)

    def _opaque(self, node: Opaque) -> str:
        """An element of an opaque operation's result."""
        whole = self.result(node.operation, [self.name(tensor) for tensor in node.operands])
        below = self._subscripts(node.subs)
        return f"<msub>{parens(whole)}{below}</msub>" if below else whole

    def result(self, operation: str, operands: Sequence[str]) -> str:
        """An opaque operation's whole result, drawn as the operation's row says."""
        own = TABLE[operation]
        names = dict(zip(map(name_of, own.operands), operands, strict=True))
        drawn: list[str] = []
        for piece in _PIECES.findall(own.unicode):
            if piece in _HIGH:
                drawn.append(f"<msup>{drawn.pop()}{row(op('−'), _HIGH[piece])}</msup>")
            elif piece.startswith("@"):
                drawn.append(names[piece[1:]])
            else:
                drawn.append(op(piece) if piece in "|·" else f"<mi>{text(piece)}</mi>")
        return row(*drawn)

    def _subscripts(self, subs: tuple[Subscript, ...]) -> str:
        return row(*commas([self.subscript(sub) for sub in subs])) if subs else ""

    def _apply(self, function: str, args: tuple[Expr, ...]) -> str:
        if function in FENCES and len(args) == 1:
            fence = FENCES[function]
            return fenced(fence[0], self.expr(args[0]), fence[1])
        name = f"<mi>{text(FUNCTIONS.get(function, function))}</mi>"
        inside = fenced("(", row(*commas([self.expr(a) for a in args])), ")")
        return row(name, "<mo>&#x2061;</mo>", inside)

    def _sum(self, terms: tuple[Expr, ...]) -> str:
        parts = [part for k, term in enumerate(terms) for part in self._term(term, k > 0)]
        return row(*parts) if parts else "<mn>0</mn>"

    def _term(self, term: Expr, follows: bool) -> list[str]:
        """A term of a sum with the sign before it."""
        negative, rest = _sign(term)
        form = "infix" if follows else "prefix"
        sign = [op("−" if negative else "+", form=form)] if negative or follows else []
        return [*sign, self.expr(rest, PRODUCT)]

    def _product(self, factors: tuple[Expr, ...]) -> tuple[int, str]:
        negative, whole = _sign(Mul(factors))
        if negative:
            return SUM, row(prefix("−"), self.expr(whole, PRODUCT))
        above, below = _fraction(factors)
        last: list[Expr] = []
        if above and isinstance(above[-1], Reduce | Arg):
            last = [above.pop()]  # (1/N) Σ x rather than (Σ x)/N
        head = self._chain(above, alone=bool(below))
        if below:
            drawn = f"<mfrac>{head or '<mn>1</mn>'}{self._chain(below, alone=True)}</mfrac>"
            head = drawn
        if not last:
            return PRODUCT, head or "<mn>1</mn>"
        tail = self.expr(last[0], PREFIX)
        return PRODUCT, row(head, times(), tail) if head else tail

    def _chain(self, factors: Sequence[Expr], alone: bool = False) -> str:
        """Factors with dots between; ``alone`` says that nothing beside it needs parentheses."""
        if not factors:
            return ""
        if len(factors) == 1 and alone:
            return self.expr(factors[0])
        parts: list[str] = []
        for k, factor in enumerate(factors):
            last = k == len(factors) - 1
            parts.append(self.expr(factor, PREFIX if last else ATOM))
            if not last:
                parts.append(times())
        return row(*parts)

    def _power(self, base: Expr, exponent: Fraction) -> tuple[int, str]:
        if exponent < 0:
            below = self.expr(base) if exponent == -1 else self._power(base, -exponent)[1]
            return ATOM, f"<mfrac><mn>1</mn>{below}</mfrac>"
        if exponent == Fraction(1, 2):
            return ATOM, f"<msqrt>{self.expr(base)}</msqrt>"
        if isinstance(base, Access) and base.subs:
            return ATOM, self.read(base.tensor, self._subscripts(base.subs), _flat(exponent))
        drawn = self.expr(base) if _bare(base) else parens(self.expr(base))
        return ATOM, f"<msup>{drawn}{row(_flat(exponent))}</msup>"

    def sum_sign(self, indices: tuple[Index, ...]) -> str:
        """∑ over indices."""
        return _big(REDUCTIONS["sum"], self._under(indices, ()))

    def _under(self, indices: tuple[Index, ...], domain: tuple[Cond, ...]) -> str:
        names = row(*commas([word(i.name) for i in indices]))
        if not domain:
            return names
        lines = [names, *(self.cond(cond) for cond in domain)]
        return _table([[line] for line in lines])

    def _arg(
        self,
        name: str,
        indices: tuple[Index, ...],
        which: int,
        domain: tuple[Cond, ...],
        body: Expr,
    ) -> str:
        sign = _big(f"arg {name}", self._under(indices, domain))
        drawn = row(sign, self.expr(body, PRODUCT))
        return (
            drawn
            if len(indices) == 1
            else f"<msub>{parens(drawn)}{word(indices[which].name)}</msub>"
        )

    def _select(self, cond: Cond, then: Expr, other: Expr) -> str:
        cases = [
            [self.expr(then), row("<mtext>if&#xa0;</mtext>", self.cond(cond))],
            [self.expr(other), "<mtext>otherwise</mtext>"],
        ]
        return row(op("{", stretchy="true"), _table(cases, ' class="cases"'))

    # Conditions

    def cond(self, node: Cond, outer: int = ALL) -> str:
        """A condition, in parentheses where it binds less than ``outer``."""
        strength, drawn = self._cond(node)
        return parens(drawn) if strength < outer else drawn

    def _cond(self, node: Cond) -> tuple[int, str]:
        match node:
            case Compare(name, left, right):
                if isinstance(left, Number) and not isinstance(right, Number):
                    return TEST, row(self.expr(right), op(MIRRORED[name]), self.expr(left))
                return TEST, row(self.expr(left), op(COMPARISONS[name]), self.expr(right))
            case Zero(sub):
                left_side, right_side = sides(sub)
                return TEST, row(self.subscript(left_side), op("="), self.subscript(right_side))
            case Inside(sub, extent):
                return TEST, self._range(node, sub, extent)
            case Divides(divisor, sub):
                return TEST, row(self.size(divisor), op("∣"), self.subscript(sub))
            case And(conds):
                return ANY, joined([self.cond(c, ANY) for c in conds], op("∧"))
            case Or(conds):
                return ALL, joined([self.cond(c, TEST) for c in conds], op("\u2228"))
            case Not(Zero(sub)):
                left_side, right_side = sides(sub)
                return TEST, row(self.subscript(left_side), op("≠"), self.subscript(right_side))
            case Not(cond):
                return TEST, row(prefix("¬"), parens(self.cond(cond)))
            case Truth(value):
                return TEST, self.expr(value)
            case _:
                assert_never(node)

    def _range(self, node: Inside, sub: Subscript, extent: Size) -> str:
        """A range, with the side left out that always holds."""
        least, most = sides(sub)
        if one_sided(sub, constant(extent)) is node:
            return row(self.subscript(sub), op("<"), self.size(extent))
        if least.terms and one_sided(most, least + 1) is node:
            return row(self.subscript(most), op("≤"), self.subscript(least))
        below = row("<mn>0</mn>", op("≤"), self.subscript(sub))
        return row(below, op("<"), self.size(extent))

    # Subscripts and sizes

    def subscript(self, sub: Subscript) -> str:
        """An affine subscript."""
        terms = [(n, self._atom(atom)) for atom, n in sub.terms]
        parts: list[str] = []
        for n, drawn in sorted(terms, key=lambda term: _negative(term[0])):
            parts.extend(self._scaled(n, drawn, bool(parts)))
        if sub.const.terms or not parts:
            parts.extend(self._size_terms(sub.const, bool(parts)))
        return row(*parts)

    def _scaled(self, n: Size, drawn: str, follows: bool) -> list[str]:
        minus = _negative(n)
        n = -n if minus else n
        sign = [op("−") if follows else prefix("−")] if minus else [op("+")] if follows else []
        if n.literal == 1:
            return [*sign, drawn]
        factor = self.size(n) if _is_atom(n) else parens(self.size(n))
        return [*sign, factor, "<mo>&#x2062;</mo>", drawn]

    def _atom(self, atom: SubscriptAtom) -> str:
        match atom:
            case Index():
                return word(atom.name)
            case Quotient(value, divisor):
                return fenced(
                    "⌊", _over(self._closed(value), _closed_size(divisor, self.size(divisor))), "⌋"
                )
            case Remainder(value, divisor):
                return row(
                    self._closed(value), op("mod"), _closed_size(divisor, self.size(divisor))
                )
            case Lookup(access):
                return self.expr(access)
            case _:
                assert_never(atom)

    def _closed(self, sub: Subscript) -> str:
        """A subscript, in parentheses unless it is one atom."""
        drawn = self.subscript(sub)
        return drawn if sub.atom is not None else parens(drawn)

    def size(self, value: Size) -> str:
        """A size, a polynomial in named sizes."""
        return row(*self._size_terms(value, False)) if value.terms else "<mn>0</mn>"

    def _size_terms(self, value: Size, follows: bool) -> list[str]:
        parts: list[str] = []
        ordered = sorted(value.terms, key=lambda term: (not term[0], term[1] < 0))
        for atoms, n in ordered:
            if n < 0:
                parts.append(op("−") if follows or parts else prefix("−"))
            elif follows or parts:
                parts.append(op("+"))
            if abs(n) != 1 or not atoms:
                parts.append(f"<mn>{abs(n)}</mn>")
            parts.extend(self._size_atom(atom) for atom in atoms)
        return parts or ["<mn>0</mn>"]

    def _size_atom(self, atom: SizeAtom) -> str:
        if isinstance(atom, FloorQuotient):
            above = _closed_size(atom.numerator, self.size(atom.numerator))
            below = _closed_size(atom.denominator, self.size(atom.denominator))
            return fenced("⌊", _over(above, below), "⌋")
        return word(atom)


def visible(markup: str) -> int:
    """About how many letters a formula shows."""
    return len(re.sub("<[^>]*>|&[^;]*;", "", markup))


def _filled(pieces: Sequence[str]) -> list[str]:
    """Pieces in as few lines as hold them."""
    lines: list[list[str]] = []
    for piece in pieces:
        if lines and sum(map(visible, lines[-1])) + visible(piece) <= WIDEST:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [row(*line) for line in lines]


def _paren(sign: str) -> str:
    """A parenthesis whose other one stands on another line."""
    return op(sign, stretchy="false", form="prefix" if sign == "(" else "postfix")


def op(sign: str, **attributes: str) -> str:
    """An operator."""
    extra = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<mo{extra}>{text(sign)}</mo>"


def prefix(sign: str) -> str:
    """An operator before its one operand."""
    return op(sign, form="prefix")


def times() -> str:
    """The dot between factors."""
    return op("·", lspace="0.12em", rspace="0.12em")


def row(*parts: str) -> str:
    """One element of several."""
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def fenced(left: str, inside: str, right: str) -> str:
    """Between two fences."""
    return row(op(left, fence="true"), inside, op(right, fence="true"))


def parens(inside: str) -> str:
    """In parentheses."""
    return fenced("(", inside, ")")


def _parts(name: str, gradient: bool) -> Letter:
    """A name taken apart; of a gradient's, whatever its letters, the leading d."""
    parts = letter(name)
    if gradient and not parts.gradient and len(name) > 1 and name[0] == "d":
        inner = letter(name[1:])
        return replace(inner, gradient=True, orders=("", *inner.orders))
    return parts


def _stem(parts: Letter) -> str:
    stem = parts.stem
    drawn = f"<mi>{GREEK.get(stem, text(stem))}</mi>"
    if parts.accent:
        drawn = f'<mover accent="true">{drawn}<mo>{ACCENTS[parts.accent]}</mo></mover>'
    d = '<mi mathvariant="normal">d</mi>'
    signs = [f"<msup>{d}<mn>{order}</mn></msup>" if order else d for order in parts.orders]
    return row(*signs, drawn)


def _scripts(base: str, low: list[str], high: list[str]) -> str:
    if low and high:
        return f"<msubsup>{base}{row(*commas(low))}{row(*high)}</msubsup>"
    if low:
        return f"<msub>{base}{row(*commas(low))}</msub>"
    return f"<msup>{base}{row(*high)}</msup>" if high else base


def word(name: str) -> str:
    """The name of an index or a size: its number is set low, its primes as primes."""
    parts = letter(name)
    low = [f"<mtext>{text(parts.label)}</mtext>"] if parts.label else []
    low += [f"<mn>{parts.number}</mn>"] if parts.number else []
    drawn = _scripts(_stem(parts), low, [])
    return row(drawn, _primes(parts)) if parts.primes else drawn


def _primes(parts: Letter) -> str:
    return f'<mo lspace="0" rspace="0">{"′" * len(parts.primes)}</mo>'


def commas(parts: Sequence[str]) -> list[str]:
    """With commas between."""
    out: list[str] = []
    for k, part in enumerate(parts):
        if k:
            out.append('<mo separator="true">,</mo>')
        out.append(part)
    return out


def joined(parts: Sequence[str], between: str) -> str:
    """One element of several, with something between."""
    return row(
        *(piece for k, part in enumerate(parts) for piece in ((between,) * (k > 0) + (part,)))
    )


def _big(sign: str, under: str) -> str:
    drawn = f"<mi>{text(sign)}</mi>" if sign.isascii() else op(sign, movablelimits="false")
    space = "<mspace width='0.17em'/>" if sign.isascii() else ""
    return (
        row(f"<munder>{drawn}{under}</munder>", space)
        if space
        else f"<munder>{drawn}{under}</munder>"
    )


def _table(rows: Sequence[Sequence[str]], attributes: str = "") -> str:
    lines = ("".join(f"<mtd>{cell}</mtd>" for cell in cells) for cells in rows)
    return f"<mtable{attributes}>{''.join(f'<mtr>{line}</mtr>' for line in lines)}</mtable>"


def _over(above: str, below: str) -> str:
    return row(above, op("/", form="infix", lspace="0", rspace="0"), below)


def _closed_size(value: Size, drawn: str) -> str:
    """A size, in parentheses unless it is a number or a name."""
    return drawn if value.literal is not None or is_name(value) else parens(drawn)


def _negative(n: Size) -> bool:
    return bool(n.terms) and all(k < 0 for _, k in n.terms)


def _is_atom(value: Size) -> bool:
    if value.literal is not None:
        return value.literal >= 0
    return len(value.terms) == 1 and value.terms[0][1] > 0


def _sign(node: Expr) -> tuple[bool, Expr]:
    """Whether a minus sign stands before a term, and what follows the sign."""
    if isinstance(node, Number) and not node.special and node.value < 0:
        return True, Number(-node.value, "")
    if isinstance(node, Mul) and node.factors:
        first, rest = node.factors[0], node.factors[1:]
        if isinstance(first, Number) and not first.special and first.value < 0 and rest:
            if first.value == -1:
                return True, rest[0] if len(rest) == 1 else Mul(rest)
            return True, Mul((Number(-first.value, ""), *rest))
    return False, node


def _fraction(factors: tuple[Expr, ...]) -> tuple[list[Expr], list[Expr]]:
    """What stands above and below the bar."""
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in factors:
        match factor:
            case Power(base, exponent) if exponent < 0:
                below.append(base if exponent == -1 else Power(base, -exponent))
            case Number(value, "") if value.denominator != 1 and _short(value):
                below.append(Number(Fraction(value.denominator), ""))
                if abs(value.numerator) != 1:
                    above.append(Number(Fraction(value.numerator), ""))
            case _:
                above.append(factor)
    return above, below


def _bare(base: Expr) -> bool:
    """Whether an exponent can follow without parentheses."""
    match base:
        case Access():
            return True
        case Number(value, ""):
            return value >= 0 and value.denominator == 1
        case SizeOf(value):
            return _is_atom(value) and len(str(value)) == 1
        case _:
            return False


def _short(value: Fraction) -> bool:
    return value.denominator <= 64 and value.denominator not in (10, 20, 25, 40, 50)


def _flat(value: Fraction) -> str:
    if value.denominator == 1:
        return f"<mn>{value.numerator}</mn>"
    if _short(value):
        return _over(f"<mn>{value.numerator}</mn>", f"<mn>{value.denominator}</mn>")
    return f"<mn>{decimal(value)}</mn>"


def _number(node: Number) -> tuple[int, str]:
    if node is PI:
        return ATOM, "<mi>π</mi>"
    if node.special == "-inf" or node.value < 0:
        positive = Number(-node.value, node.special.lstrip("-"))
        return SUM, row(prefix("−"), _number(positive)[1])
    if node.special:
        return ATOM, "<mi>∞</mi>" if node.special == "inf" else "<mtext>NaN</mtext>"
    value = node.value
    if value.denominator != 1 and _short(value):
        return ATOM, f"<mfrac><mn>{value.numerator}</mn><mn>{value.denominator}</mn></mfrac>"
    mantissa, _, exponent = decimal(value).partition("e")
    if "/" in mantissa:
        above, below = mantissa.split("/")
        return ATOM, f"<mfrac><mn>{above}</mn><mn>{below}</mn></mfrac>"
    if not exponent:
        return ATOM, f"<mn>{mantissa}</mn>"
    minus = prefix("−") if exponent[0] == "-" else ""
    power = f"<msup><mn>10</mn><mrow>{minus}<mn>{exponent.lstrip('-')}</mn></mrow></msup>"
    if mantissa == "1":
        return ATOM, power
    return PRODUCT, row(f"<mn>{mantissa}</mn>", op("×"), power)


def decimal(value: Fraction) -> str:
    """A number >= 0 for reading: what has many digits is cut, and ends in ….

    >>> decimal(Fraction("0.044715")), decimal(Fraction(1, 100000))
    ('0.044715', '1e-5')
    >>> decimal(Fraction(2**40 + 1, 2**40)), decimal(Fraction(12500000001, 125))
    ('1.000000…', '100000000…')
    """
    written = show_magnitude(value)
    mantissa, _, exponent = written.partition("e")
    if "." in mantissa and len(mantissa.lstrip("0.")) > DIGITS + 2:
        lead = len(mantissa) - len(mantissa.lstrip("0."))
        kept = max(lead + DIGITS + (lead == 0), mantissa.index("."))
        mantissa = mantissa[:kept] + "…"
    return f"{mantissa}e{exponent}" if exponent else mantissa

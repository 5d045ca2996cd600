"""Numbers, sizes, subscripts and reads as index notation that reads back the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..ir.expr import Access, Number, Tensor
from ..ir.sizes import FloorQuotient, Size, size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, SubscriptAtom, constant
from .bounds import has_lookup, is_natural
from .tokens import quoted

LONGEST_PLAIN = 16
MOST_DIGITS = 60
FLOAT_DIGITS = 20  # with "0." and leading zeros


def show_magnitude(value: Fraction) -> str:
    """A number >= 0: a decimal where it is one, else a fraction.

    >>> show_magnitude(Fraction(1, 8)), show_magnitude(Fraction(2, 3))
    ('0.125', '2/3')
    """
    if value.denominator == 1:
        return _scientific(str(value.numerator), 0)
    places = _decimal_places(value)
    if places is None:
        return f"{value.numerator}/{value.denominator}"
    return _scientific(str(value.numerator * 10**places // value.denominator), -places)


def show_brief(value: Fraction) -> str:
    """A number >= 0 for people, who need no more digits of it than a float has.

    >>> show_brief(Fraction(1, 8)), show_brief(Fraction("1.12837916709551257389615890312154517"))
    ('0.125', '1.1283791670955126')
    """
    exact = show_magnitude(value)
    return exact if len(exact) <= FLOAT_DIGITS else show_magnitude(Fraction(repr(float(value))))


def _decimal_places(value: Fraction) -> int | None:
    """How many decimals a number has; None if they don't end, or go on for too long."""
    denominator, twos, fives = value.denominator, 0, 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    places = max(twos, fives)
    digits = len(str(value.numerator * 10**places // value.denominator)) if places else 0
    return places if denominator == 1 and digits <= MOST_DIGITS else None


def _scientific(digits: str, exponent: int) -> str:
    """``digits * 10**exponent`` the short way."""
    if exponent == 0 and len(digits) <= LONGEST_PLAIN:
        return digits
    short = digits.rstrip("0") or "0"
    exponent += len(digits) - len(short)
    point = len(short) + exponent  # the place of the decimal point in the digits
    if exponent >= 0 and point <= LONGEST_PLAIN:
        return short + "0" * exponent
    if exponent < 0 and -4 < point <= 0:
        return "0." + "0" * -point + short
    if exponent < 0 and point > 0:
        return f"{short[:point]}.{short[point:]}"
    mantissa = short[0] + (f".{short[1:]}" if short[1:] else "")
    return f"{mantissa}e{point - 1}"


def show_dimensions(shape: Sequence[Size | None]) -> str:
    """A shape as a reader sees it, ``N×(H//2)``; None is an axis of one.

    >>> show_dimensions([size("N"), size("H") // 2])
    'N×(H//2)'
    """
    dims = ["1" if form is None else Spelling().size(form) for form in shape]
    many = len(dims) > 1
    return "×".join(f"({d})" if many and not d.isalnum() else d for d in dims) or "scalar"


def is_fraction(value: Number) -> bool:
    """Whether a number is spelled with a division."""
    return not value.special and _decimal_places(value.value) is None


def is_plain_integer(value: Number) -> bool:
    """Whether a number is spelled by digits only."""
    return (
        not value.special
        and value.value.denominator == 1
        and show_magnitude(abs(value.value)).isdigit()
    )


@dataclass(frozen=True)
class Spelling:
    """How names are written: ``clashing`` sizes are also names of indices or scalars.

    ``natural`` holds the integer arrays known to be >= 0; a lookup of another one is marked by
    ``index(...)``, which takes it as it is. None marks nothing (for reading only).
    """

    clashing: Collection[str] = ()
    natural: Collection[Tensor] | None = None

    # sizes -------------------------------------------------------------------------------------

    def size(self, form: Size) -> str:
        """A size."""
        terms = sorted(form.terms, key=lambda term: (not term[0], term[1] < 0))
        pieces = []
        for mono, n in terms:
            factors = [self._size_atom(atom) for atom in mono]
            shown = [str(abs(n)), *factors] if abs(n) != 1 or not factors else factors
            pieces.append(("-" if n < 0 else "+", "*".join(shown)))
        return _joined(pieces)

    def _size_atom(self, atom: str | FloorQuotient) -> str:
        if isinstance(atom, str):
            return f"size({quoted(atom)})" if atom in self.clashing else quoted(atom)
        return f"({_under(self.size(atom.numerator))}//{_under(self.size(atom.denominator))})"

    # subscripts --------------------------------------------------------------------------------

    def sub(self, sub: Subscript) -> str:
        """A subscript between brackets."""
        natural = self.natural is None or not has_lookup(sub) or is_natural(sub, self.natural)
        return self.affine(sub) if natural else f"index({self.affine(sub)})"

    def affine(self, sub: Subscript) -> str:
        """A subscript where its lookups are taken as they are; what is added comes first."""
        pieces = [self._term(self._atom(atom), n) for atom, n in sub.terms]
        if sub.const.terms or not pieces:
            text = self.size(sub.const)
            pieces.append(("-", text[1:]) if text.startswith("-") else ("+", text))
        return _joined(pieces)

    def _term(self, text: str, n: Size) -> tuple[str, str]:
        """The sign and the text of a term."""
        if n.literal is not None:
            times = "" if abs(n.literal) == 1 else f"{abs(n.literal)}*"
            return ("-" if n.literal < 0 else "+"), times + text
        factor = self.size(n)
        simple = len(n.terms) == 1 and not factor.startswith("-") and "//" not in factor
        return "+", f"{factor if simple else f'({factor})'}*{text}"

    def _atom(self, atom: SubscriptAtom) -> str:
        match atom:
            case Index(name, _):
                return quoted(name)
            case Quotient(value, divisor):
                return f"({self.dividend(value)}//{_under(self.size(divisor))})"
            case Remainder(value, divisor):
                return f"({self.dividend(value)}%{_under(self.size(divisor))})"
            case Lookup(access):
                return self.read(access)

    def dividend(self, value: Subscript) -> str:
        """A subscript as it stands left of // and %."""
        text = self.affine(value)
        if not value.terms:
            return f"index({text})"
        single = value.atom is not None and not isinstance(value.atom, Quotient | Remainder)
        return text if single or (text.startswith("(") and _closes(text)) else f"({text})"

    def read(self, access: Access) -> str:
        """``X[i,j]``; a 0-d array is ``L[]``."""
        return f"{quoted(access.tensor.name)}[{self.subs(access.subs)}]"

    def subs(self, subs: tuple[Subscript, ...]) -> str:
        """Subscripts between brackets."""
        return ",".join(map(self.sub, subs))


def sides(sub: Subscript) -> tuple[Subscript, Subscript]:
    """Two subscripts with few signs whose difference is ``sub``."""
    left, right = constant(0), constant(0)
    for atom, n in sub.terms:
        one = Subscript(((atom, n),), size(0))
        left, right = (left + one, right) if _positive(n) else (left, right - one)
    for mono, count in sub.const.terms:
        one = constant(Size(((mono, count),)))
        left, right = (left + one, right) if count > 0 else (left, right - one)
    return left, right


def _positive(n: Size) -> bool:
    return n.terms[0][1] > 0


def _under(text: str) -> str:
    """A dividend or divisor, in parentheses unless it is one name or number."""
    if text.startswith("(") and _closes(text):
        return text
    return f"({text})" if any(sign in text for sign in "+-*/%") else text


def _closes(text: str) -> bool:
    """Whether the first parenthesis closes at the very end."""
    depth = 0
    for position, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return position == len(text) - 1
    return False


def _joined(pieces: list[tuple[str, str]]) -> str:
    """Signed terms as a sum that starts with one that is added, if there is one."""
    if not pieces:
        return "0"
    lead = next((k for k, (sign, _) in enumerate(pieces) if sign == "+"), 0)
    pieces.insert(0, pieces.pop(lead))
    sign, first = pieces[0]
    first = _open(first) if sign == "+" else f"-{first}"
    return first + "".join(sign + _open(text) for sign, text in pieces[1:])


def _open(text: str) -> str:
    """A quotient or remainder without the parentheses that it needs inside products."""
    if text.startswith("(") and _closes(text) and ("//" in text or "%" in text):
        return text[1:-1]
    return text

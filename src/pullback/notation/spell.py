"""Sizes and subscripts as index notation."""

from __future__ import annotations

from ..ir.expr import Access
from ..ir.sizes import FloorQuotient, Size
from ..ir.subscripts import Index, Lookup, Quotient, Remainder, Subscript, SubscriptAtom
from .tokens import quoted


def show_size(form: Size) -> str:
    """A size as text that reads back as the same size.

    >>> from ..ir.sizes import size
    >>> show_size(size("N") * (size("H") // 2) - 1)
    'N*(H//2)-1'
    """
    terms = sorted(form.terms, key=lambda term: (not term[0], term[1] < 0))
    return _signed([(n, [_size_atom(atom) for atom in mono]) for mono, n in terms])


def _size_atom(atom: str | FloorQuotient) -> str:
    if isinstance(atom, str):
        return quoted(atom)
    return f"({_under(show_size(atom.numerator))}//{_under(show_size(atom.denominator))})"


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


def _signed(terms: list[tuple[int, list[str]]]) -> str:
    """A sum of integer multiples of products."""
    out = ""
    for n, factors in terms:
        shown = [str(abs(n)), *factors] if abs(n) != 1 or not factors else factors
        text = _product(shown)
        out += ("-" if n < 0 else "+" if out else "") + text
    return out or "0"


def _product(factors: list[str]) -> str:
    if len(factors) == 1 and factors[0].startswith("(") and _closes(factors[0]):
        return factors[0][1:-1] if "//" in factors[0] or "%" in factors[0] else factors[0]
    return "*".join(factors)


def show_sub(sub: Subscript, exact: bool = False) -> str:
    """A subscript as text; with ``exact``, lookups are marked to be taken as they are."""
    atoms = list(sub.terms)
    lead = next((k for k, (_, n) in enumerate(atoms) if _positive(n)), 0)
    if lead:
        atoms.insert(0, atoms.pop(lead))
    out = ""
    for atom, n in atoms:
        out += _term(_atom(atom, exact), n, bool(out))
    if sub.const.terms or not atoms:
        text = show_size(sub.const)
        out += text if not out or text.startswith("-") else f"+{text}"
    return out


def _positive(n: Size) -> bool:
    return n.literal is None or n.literal > 0


def _term(text: str, n: Size, follows: bool) -> str:
    if n.literal is not None:
        sign = "-" if n.literal < 0 else "+" if follows else ""
        return sign + (_product([text]) if abs(n.literal) == 1 else f"{abs(n.literal)}*{text}")
    factor = show_size(n)
    simple = len(n.terms) == 1 and not factor.startswith("-") and "//" not in factor
    return ("+" if follows else "") + f"{factor if simple else f'({factor})'}*{text}"


def _atom(atom: SubscriptAtom, exact: bool) -> str:
    match atom:
        case Index(name, _):
            return quoted(name)
        case Quotient(value, divisor):
            return f"({_dividend(value, exact)}//{_under(show_size(divisor))})"
        case Remainder(value, divisor):
            return f"({_dividend(value, exact)} % {_under(show_size(divisor))})"
        case Lookup(access):
            read = show_read(access, exact)
            return f"index({read})" if exact else read


def _dividend(value: Subscript, exact: bool) -> str:
    text = show_sub(value, exact)
    if not value.terms:
        return f"index({text})"
    if value.atom is not None and not isinstance(value.atom, Quotient | Remainder):
        return text
    return f"({text})" if not (text.startswith("(") and _closes(text)) else text


def show_read(access: Access, exact: bool = False) -> str:
    """``X[i,j]``; a 0-d array is ``L[]``."""
    subs = ",".join(show_sub(sub, exact) for sub in access.subs)
    return f"{quoted(access.tensor.name)}[{subs}]"

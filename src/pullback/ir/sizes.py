"""Sizes: integer polynomials in named sizes and floor quotients of them, e.g. ``(H + 2*P - K)//S +
1``.

Every named size is >= 0. Sizes are interned: two sizes are the same object exactly if they are the
same polynomial. What is evaluated is always an integer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import ShapeError
from .intern import Node, kept, noted, spelled


@dataclass(frozen=True, eq=False, repr=False)
class FloorQuotient(Node):
    """``numerator // denominator``, an atom of a size."""

    numerator: Size
    denominator: Size


SizeAtom = str | FloorQuotient
Monomial = tuple[SizeAtom, ...]
SizeLike: TypeAlias = "Size | int | str"


@dataclass(frozen=True, eq=False, repr=False)
class Size(Node):
    """A sum of integer multiples of products of atoms. Build with :func:`size` and the
    operators."""

    terms: tuple[tuple[Monomial, int], ...]

    @property
    def literal(self) -> int | None:
        """The integer that this size is, or None if it is symbolic."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and not self.terms[0][0]:
            return self.terms[0][1]
        return None

    def __add__(self, other: SizeLike) -> Size:
        other = size(other)
        if not other.terms:
            return self
        if not self.terms:
            return other
        return _plus(self, other)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return _minus(self)

    def __sub__(self, other: SizeLike) -> Size:
        return self + (-size(other))

    def __rsub__(self, other: SizeLike) -> Size:
        return size(other) - self

    def __mul__(self, other: SizeLike) -> Size:
        other = size(other)
        if other is ONE or not self.terms:
            return self
        if self is ONE or not other.terms:
            return other
        return _collect(
            [
                (tuple(sorted(a + b, key=_atom_key)), m * n)
                for a, m in self.terms
                for b, n in size(other).terms
            ]
        )

    __rmul__ = __mul__

    def __floordiv__(self, other: SizeLike) -> Size:
        """The floor quotient: exact parts are divided, the rest becomes an atom."""
        other = size(other)
        if other.literal == 0:
            raise ShapeError("a size is divided by zero", found=f"{self} // 0")
        if other.literal == 1:
            return self
        whole: list[tuple[Monomial, int]] = []
        rest: list[tuple[Monomial, int]] = []
        for mono, n in self.terms:
            part = _collect([(mono, n)]).exactly_over(other)
            if part is None:
                rest.append((mono, n))
            else:
                whole.extend(part.terms)
        left = _collect(rest)
        if left.literal is not None and other.literal is not None:
            return _collect(whole) + left.literal // other.literal
        if left.literal == 0:
            return _collect(whole)
        if left.literal == -1:  # for every divisor >= 1
            return _collect(whole) - 1
        if other.literal is not None and () in dict(left.terms):  # a constant beyond the divisor
            constant = dict(left.terms)[()]
            carry = constant // other.literal
            left = left - carry * other.literal
            whole.append(((), carry))
        return _collect([*whole, ((FloorQuotient(left, other),), 1)])

    def __mod__(self, other: SizeLike) -> Size:
        return self - (self // other) * other

    def exactly_over(self, other: Size) -> Size | None:
        """``self / other`` if that is a polynomial for every value of the names, else None."""
        if len(other.terms) != 1:
            return size(1) if self is other else size(0) if self.literal == 0 else None
        (mono, n) = other.terms[0]
        out = []
        for own, m in self.terms:
            left = list(own)
            for atom in mono:
                if atom not in left:
                    return None
                left.remove(atom)
            if m % n:
                return None
            out.append((tuple(left), m // n))
        return _collect(out)

    @noted
    def names(self) -> tuple[str, ...]:
        """The named sizes in here, sorted."""
        found: set[str] = set()
        for mono, _ in self.terms:
            for atom in mono:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    found.update(atom.numerator.names(), atom.denominator.names())
        return tuple(sorted(found))

    def value(self, sizes: Mapping[str, int]) -> int:
        """The integer at given values of the names."""
        total = 0
        for mono, n in self.terms:
            for atom in mono:
                if isinstance(atom, str):
                    if atom not in sizes:
                        raise ShapeError(
                            f"the size {atom} is not known here", hint="give its value"
                        )
                    n *= sizes[atom]
                else:
                    n *= atom.numerator.value(sizes) // atom.denominator.value(sizes)
            total += n
        return total

    def replace(self, names: Mapping[str, SizeLike]) -> Size:
        """This size with named sizes replaced."""
        if not any(name in names for name in self.names()):
            return self
        total = size(0)
        for mono, n in self.terms:
            part = size(n)
            for atom in mono:
                if isinstance(atom, str):
                    part = part * size(names.get(atom, atom))
                else:
                    part = part * (atom.numerator.replace(names) // atom.denominator.replace(names))
            total = total + part
        return total

    def at_least(self, bound: SizeLike, positive: Collection[str] = ()) -> bool:
        """Whether ``self >= bound`` is proved for all values >= 0 (>= 1 for names in ``positive``).

        False means "not proved".
        """
        rest = self - bound
        literal = rest.literal
        return _nonnegative(rest, positive, 3) if literal is None else literal >= 0

    def _spell(self) -> str:
        return self._text(spelled)

    def __str__(self) -> str:
        return self._text(str)

    def _text(self, name: Callable[[str], str]) -> str:
        if not self.terms:
            return "0"
        out = ""
        ordered = sorted(self.terms, key=lambda term: (not term[0], term[1] < 0))
        for mono, n in ordered:
            alone = len(mono) == 1 and (n == 1 or (n == -1 and bool(out)))
            body = "*".join(_atom_text(atom, alone, name) for atom in mono)
            magnitude = str(abs(n)) if not body else body if abs(n) == 1 else f"{abs(n)}*{body}"
            if not out:
                out = magnitude if n > 0 else f"-{magnitude}"
            else:
                out += f" {'+' if n > 0 else '-'} {magnitude}"
        return out


def size(value: SizeLike) -> Size:
    """A size from an integer, a name or a size.

    >>> str(size("N") * 2 + 1)
    '2*N + 1'
    >>> str((size("H") + 2 - 3) // 2 + 1)
    '(H + 1)//2'
    """
    if isinstance(value, Size):
        return value
    if isinstance(value, str):
        return Size((((value,), 1),))
    return _SMALL.get(value) or _plain(int(value))


def _plain(value: int) -> Size:
    return Size((((), value),)) if value else Size(())


_SMALL = {value: _plain(value) for value in range(-16, 65)}  # those that are asked for all the time
ONE = size(1)


@kept
def _plus(left: Size, right: Size) -> Size:
    return _collect([*left.terms, *right.terms])


@kept
def _minus(value: Size) -> Size:
    return _collect([(mono, -n) for mono, n in value.terms])


def _atom_key(atom: SizeAtom) -> tuple[int, str]:
    return (0, atom) if isinstance(atom, str) else (1, atom.key)


def _atom_text(atom: SizeAtom, alone: bool, name: Callable[[str], str]) -> str:
    """A quotient beside other factors is put in parentheses: 2*(H//2) is not 2*H//2."""
    if isinstance(atom, str):
        return name(atom)
    over, under = atom.numerator._text(name), atom.denominator._text(name)
    over = f"({over})" if any(c in over for c in " *-/") else over
    under = f"({under})" if any(c in under for c in " *-/") else under
    return f"{over}//{under}" if alone else f"({over}//{under})"


def _collect(terms: list[tuple[Monomial, int]]) -> Size:
    total: dict[Monomial, int] = {}
    for mono, n in terms:
        total[mono] = total.get(mono, 0) + n
    kept = [(mono, n) for mono, n in total.items() if n]
    kept.sort(key=lambda term: (-len(term[0]), [_atom_key(atom) for atom in term[0]]))
    return Size(tuple(kept))


def _nonnegative(value: Size, positive: Collection[str], fuel: int) -> bool:
    shifted = value.replace({name: size(name) + 1 for name in value.names() if name in positive})
    if all(
        n > 0 and all(isinstance(atom, str) or _quotient_nonnegative(atom, fuel) for atom in mono)
        for mono, n in shifted.terms
    ):
        return True
    if not fuel:
        return False
    for mono, n in value.terms:  # d*(e//d) lies between e - d + 1 and e
        for atom in mono:
            if isinstance(atom, str):
                continue
            left = list(mono)
            left.remove(atom)
            factor = _collect([(tuple(left), n)]).exactly_over(atom.denominator)
            if factor is None or not atom.denominator.at_least(1, positive):
                continue
            if _nonnegative(factor, positive, fuel - 1):
                bound = atom.numerator - atom.denominator + 1
            elif _nonnegative(-factor, positive, fuel - 1):
                bound = atom.numerator
            else:
                continue
            if _nonnegative(value - _collect([(mono, n)]) + factor * bound, positive, fuel - 1):
                return True
    return False


def _quotient_nonnegative(atom: FloorQuotient, fuel: int) -> bool:
    return fuel > 0 and _nonnegative(atom.numerator, (), fuel - 1) and atom.denominator.at_least(1)

"""Products with the matrices of a discrete Fourier transform as transforms: no matrix is formed.

The differential of a transform is written with the cosines P[k,j] and the sines Q[k,j] of 2πkj/n.
What a pass multiplies with them is a transform of everything that depends on the summed index:
Σ_j P[k,j]·u[j] + Σ_j Q[k,j]·v[j] is the real part of that of u + iv.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ..ir.expr import (
    Access,
    Add,
    Cond,
    Expr,
    Guard,
    Opaque,
    SizeOf,
    Tensor,
    Zero,
    mul,
    neg,
    number,
    power,
)
from ..ir.program import Define
from ..ir.sizes import Size
from ..ir.subscripts import Index, Subscript, at, indices_of
from ..ir.walk import Tree, bottom_up, free_indices, fresh, tensors
from ..text import PRIVATE
from .eliminate import eliminate
from .linear import Linear
from .normal import Factor, Poly, Term, collect, expression, indices_in, poly, term
from .residuals import is_whole

ONE = Fraction(1)
MATRICES = {
    "fourier_cos": "cos",
    "fourier_sin": "sin",
    "half_cos": "half cos",
    "half_sin": "half sin",
}
WORDS = {"fft": "spectrum", "rfft": "spectrum", "ifft": "signal", "irfft": "signal"}
PARTS = {"cos": "real", "sin": "imag"}
WEIGHTS = f"weights{PRIVATE}"


def transformed(statements: Sequence[Define], linear: Linear) -> list[Define]:
    """The statements, every product with the matrix of a Fourier transform replaced by one."""
    matrices: dict[Tensor, str] = {}
    weights: dict[Tensor, Size] = {}
    for define in linear.later:
        match define.body:
            case Opaque(operation) if operation in MATRICES:
                matrices[define.target] = MATRICES[operation]
            case Opaque("half_weights", (whole,)):
                weights[define.target] = whole.shape[-1]
    if not matrices:
        return list(statements)
    return _Transforms(matrices, weights, linear).run(statements)


@dataclass(frozen=True)
class _Part:
    """``rest · Σ_j matrix[row, j]·given[outer, j]``, a term of a statement."""

    rest: Term
    matrix: str
    given: Tensor
    outer: tuple[Index, ...]
    row: Subscript
    length: Size

    @property
    def place(self) -> tuple[object, ...]:
        """What two parts have in common that are the parts of one transform."""
        rest = self.rest
        half = self.matrix.startswith("half")
        told = rest.bound, rest.guards, rest.factors, self.outer, self.row, self.given.shape
        return (*told, half)


Found = tuple[_Part, str, tuple[Tensor, ...]]
"""What multiplies a transform, the transform's row in the table, and what is transformed."""


@dataclass
class _Transforms:
    matrices: Mapping[Tensor, str]
    weights: Mapping[Tensor, Size]
    linear: Linear
    out: list[Define] = field(default_factory=list)
    given: dict[tuple[object, ...], Tensor] = field(default_factory=dict)
    made: dict[Opaque, Tensor] = field(default_factory=dict)
    less: dict[tuple[Tensor, Tensor], Tensor | None] = field(
        default_factory=dict
    )  # without the weights
    halves: dict[Tensor, Size] = field(default_factory=dict)  # weights, and what they belong to

    def run(self, statements: Sequence[Define]) -> list[Define]:
        for s in statements:
            if not self.reads(s.body):
                if s.scatter is not None and self.reads(s.scatter):
                    s = replace(s, scatter=None)
                self.out.append(self.plain(s))
                continue
            self.write(s)
        return [self.spelled(s) for s in self.out]

    def reads(self, body: Expr) -> bool:
        """Whether an expression reads one of the matrices."""
        return any(t in self.matrices for t in tensors(body))

    def write(self, s: Define) -> None:
        """The statement without the matrices."""
        ready: list[Term | None] = []
        parts: list[_Part] = []
        for value in self.spread(poly(self.common(s.body))):
            for one in self.split(value, s):
                (parts if isinstance(one, _Part) else ready).append(one)  # type: ignore[arg-type]
        joined = self.joined(parts, s)
        if not ready and len(joined) == 1:
            whole = self.whole(joined[0], s)
            if whole is not None:
                self.made[Opaque(whole.operation, whole.operands, ())] = s.target
                self.out.append(replace(s, body=whole, scatter=None))
                return
        terms = collect([*ready, *(self.read(one, s) for one in joined)])
        self.out.append(replace(s, body=expression(terms), scatter=None))

    def spread(self, values: Poly) -> Poly:
        """The terms, those distributed that have a matrix inside a sum."""
        found: list[Term] = []
        for value in values:
            sums = [a for a, _ in value.factors if isinstance(a, Add) and self.reads(a)]
            found += poly(expression((value,)), True) if sums else [value]
        return tuple(found)

    # The weights of half a transform.

    def plain(self, s: Define) -> Define:
        """The statement with all weights of one transform under one name."""
        return replace(s, body=self.common(s.body)) if self.weights else s

    def common(self, body: Expr) -> Expr:
        """An expression with the weights read by the name that they have here."""
        if not any(t in self.weights for t in tensors(body)):
            return body

        def change(tree: Tree) -> Tree:
            if isinstance(tree, Access) and tree.tensor in self.weights:
                return Access(_weights(tree.tensor, self.weights[tree.tensor]), tree.subs[-1:])
            return tree

        return bottom_up(body, change)  # type: ignore[return-value]

    def spelled(self, s: Define) -> Define:
        """The statement with the weights written out: 2, and 1 at the ends."""

        def change(tree: Tree) -> Tree:
            match tree:
                case Access(Tensor() as tensor, (place,)) if tensor.name.startswith(WEIGHTS):
                    last = self.wholes[tensor]
                    return Add(
                        (number(2), neg(Guard(Zero(place))), neg(Guard(Zero(place * 2 - last))))
                    )
                case _:
                    return tree

        body = bottom_up(s.body, change)
        return s if body is s.body else replace(s, body=body)  # type: ignore[arg-type]

    @property
    def wholes(self) -> dict[Tensor, Size]:
        """The lengths of the transforms whose weights have these names."""
        return {_weights(t, n): n for t, n in self.weights.items()} | self.halves

    def without(self, tensor: Tensor, weights: Tensor) -> Tensor | None:
        """A tensor whose elements are those of another one, times the length of the transform and
        over the weights of its last axis; None where these don't cancel."""
        key = tensor, weights
        if key not in self.less:
            self.less[key] = None
            s = next((s for s in self.out if s.target is tensor), None)
            if s is None or not s.indices:
                return None
            place = Access(weights, (at(s.indices[-1]),))
            found: list[Term | None] = []
            for value in poly(s.body):
                part = self.over(value, place)
                if part is None:
                    return None
                found.append(part)
            self.less[key] = target = self.tensor("", s.indices, s, f"half_{tensor.name}")
            body = expression(collect(found))
            self.out.append(replace(s, target=target, body=body, scatter=None, of="", user=False))
        return self.less[key]

    def over(self, value: Term, place: Access) -> Term | None:
        """A term over the weights at a place, and times the length of the transform; None where the
        weights don't cancel."""
        for k, (atom, exponent) in enumerate(value.factors):
            if exponent != 1 or not isinstance(atom, Access):
                continue
            rest = [f for n, f in enumerate(value.factors) if n != k]
            if atom is place:
                length = (SizeOf(self.halves[place.tensor]), ONE)
                return term(value.coef, value.bound, value.guards, [*rest, length])
            if atom.subs and atom.subs[-1] == place.subs[-1]:
                less = self.without(atom.tensor, place.tensor)
                if less is not None:
                    factor = (Access(less, atom.subs), ONE)
                    return term(value.coef, value.bound, value.guards, [*rest, factor])
        return None

    # One term.

    def split(self, value: Term, s: Define) -> list[_Part | Term]:
        """A term as what multiplies a transform, and what is transformed."""
        value = self.named_atoms(value, s)
        found = self.matrix_in(value)
        if found is None:
            return [value]
        (access, exponent), kind = found
        left, right = access.subs[-2:]
        bound = set(value.bound)
        if kind.startswith("half"):
            return self.half(value, access, exponent, kind, s)
        if not bound.intersection(indices_of(right)) and (
            bound.intersection(indices_of(left)) or not indices_of(left)
        ):
            left, right = right, left
        summed = bound.intersection(indices_of(right))
        others = [f for f in value.factors if f[0] is not access]
        if exponent != 1 or not summed or summed.intersection(indices_of(left)):
            return self.unit(value, access, exponent, left, right, kind, s)
        inner = self.before(value.bound, value.guards, others, summed, left)
        guards = [g for g in value.guards if inner.intersection(free_indices(g))]
        factors = [f for f in others if inner.intersection(free_indices(f[0]))]
        bounds, extent = [i for i in value.bound if i in inner], access.tensor.shape[-1]
        given, own, coef = self.argument(bounds, guards, factors, right, extent, s)
        rest = term(
            value.coef * coef,
            [i for i in value.bound if i not in inner],
            [g for g in value.guards if g not in guards],
            [f for f in others if f not in factors],
            False,
        )
        assert rest is not None
        part = _Part(rest, kind, given, own, left, given.shape[-1])
        if self.matrix_in(rest) is None:
            return [part]
        made = self.read(_single(part), s)
        return [] if made is None else self.split(made, s)

    def half(
        self, value: Term, access: Access, exponent: Fraction, kind: str, s: Define
    ) -> list[_Part | Term]:
        """The same for the matrices of half a transform: their columns are summed over by one
        forth, their rows by one back."""
        row, column = access.subs[-2:]
        bound, kind = set(value.bound), kind.removeprefix("half ")
        others = [f for f in value.factors if f[0] is not access]
        forth = bool(bound.intersection(indices_of(column)))
        left, right = (row, column) if forth else (column, row)
        summed = bound.intersection(indices_of(right))
        if exponent != 1 or not summed or summed.intersection(indices_of(left)):
            given, own, _ = self.argument([], [], [], column, access.tensor.shape[-1], s)
            made = self.transform(f"rfft_{PARTS[kind]}", (given,), own, s, access.tensor.shape[-2])
            read: Expr = Access(made, (*map(at, own), row))
            return self.split(
                _with(value, others, power(read if kind == "cos" else neg(read), exponent)), s
            )
        inner = self.before(value.bound, value.guards, others, summed, left)
        guards = [g for g in value.guards if inner.intersection(free_indices(g))]
        factors = [f for f in others if inner.intersection(free_indices(f[0]))]
        extent = access.tensor.shape[-1 if forth else -2]
        bounds = [i for i in value.bound if i in inner]
        given, own, coef = self.argument(bounds, guards, factors, right, extent, s)
        rest = term(
            value.coef * coef,
            [i for i in value.bound if i not in inner],
            [g for g in value.guards if g not in guards],
            [f for f in others if f not in factors],
            False,
        )
        assert rest is not None
        if forth:
            made = self.transform(f"rfft_{PARTS[kind]}", (given,), own, s, access.tensor.shape[-2])
            read = Access(made, (*map(at, own), left))
            found = _with(rest, rest.factors, read if kind == "cos" else neg(read))
            return self.split(found, s)
        whole = access.tensor.shape[-1]
        part = _Part(rest, f"half {kind}", self.lessened(given, whole, s), own, left, whole)
        if self.matrix_in(rest) is None:
            return [part]
        pair = (part, None) if kind == "cos" else (None, part)
        made_term = self.read(self.halved(pair[0], pair[1], s), s)
        return [] if made_term is None else self.split(made_term, s)

    def lessened(self, given: Tensor, whole: Size, s: Define) -> Tensor:
        """What is transformed back by half, over the weights with which that multiplies, and
        times the length, by which it divides."""
        weights = _weights(given, whole)
        self.halves[weights] = whole
        less = self.without(given, weights)
        if less is not None:
            return less
        axes = self.linear.axes(given)
        place = Access(weights, (at(axes[-1]),))
        body = mul(SizeOf(whole), Access(given, tuple(map(at, axes))), power(place, -1))
        target = self.tensor("", axes, s, f"half_{given.name}")
        self.out.append(Define(target, axes, body, s.source, False))
        self.less[given, weights] = target
        return target

    def halved(self, cosines: _Part | None, sines: _Part | None, s: Define) -> Found:
        """The transform back of half a spectrum."""
        part = cosines or sines
        assert part is not None
        rest = part.rest
        if sines is None:
            return part, "irfft", (part.given,)
        one = self.zeros(sines, s) if cosines is None else cosines.given
        flipped = cosines is None or cosines.rest.coef == sines.rest.coef
        other = self.negated(sines.given, s) if flipped and cosines is not None else sines.given
        if cosines is None:
            rest = _times(rest, -ONE)
        return replace(part, rest=rest), "cirfft", (one, other)

    def zeros(self, part: _Part, s: Define) -> Tensor:
        """Zeros like what is transformed."""
        axes = self.linear.axes(part.given)
        target = self.tensor("", axes, s, f"no_{part.given.name}")
        self.out.append(Define(target, axes, number(0), s.source, False))
        return target

    def negated(self, given: Tensor, s: Define) -> Tensor:
        """A tensor times -1."""
        axes = self.linear.axes(given)
        target = self.tensor("", axes, s, f"minus_{given.name}")
        body = neg(Access(given, tuple(map(at, axes))))
        self.out.append(Define(target, axes, body, s.source, False))
        return target

    def unit(
        self,
        value: Term,
        access: Access,
        exponent: Fraction,
        left: Subscript,
        right: Subscript,
        kind: str,
        s: Define,
    ) -> list[_Part | Term]:
        """A matrix that isn't summed over: its columns are the transforms of unit vectors."""
        given, own, _ = self.argument([], [], [], right, access.tensor.shape[-1], s)
        transform = self.transform(f"fft_{PARTS[kind]}", (given,), own, s, given.shape[-1])
        read: Expr = Access(transform, (*map(at, own), left))
        read = read if kind == "cos" else neg(read)
        others = [f for f in value.factors if f[0] is not access]
        return self.split(_with(value, others, power(read, exponent)), s)

    def named_atoms(self, value: Term, s: Define) -> Term:
        """The term with names for the factors that have a matrix in them."""
        factors = []
        for atom, exponent in value.factors:
            plain = isinstance(atom, Access) and atom.tensor in self.matrices
            if self.reads(atom) and not plain:
                atom = self.named(atom, s)
            factors.append((atom, exponent))
        guards = tuple(value.guards)
        found = term(value.coef, value.bound, guards, factors, False)
        assert found is not None
        return found

    def named(self, atom: Expr, s: Define) -> Access:
        """A value under a name of its own."""
        axes = tuple(free_indices(atom))
        target = self.tensor("part", axes, s)
        self.write(Define(target, axes, atom, s.source, False))
        return Access(target, tuple(map(at, axes)))

    def matrix_in(self, value: Term) -> tuple[tuple[Access, Fraction], str] | None:
        """The factor that is a matrix, and which one."""
        for atom, exponent in value.factors:
            if isinstance(atom, Access) and atom.tensor in self.matrices:
                return (atom, exponent), self.matrices[atom.tensor]
        return None

    def before(
        self,
        bound: Sequence[Index],
        guards: Sequence[Cond],
        factors: Sequence[Factor],
        summed: Iterable[Index],
        row: Subscript,
    ) -> set[Index]:
        """The bound indices that are summed before the transform."""
        inner = set(summed)
        pieces = [set(free_indices(x)) for x in (*guards, *(a for a, _ in factors))]
        while True:
            held = set(indices_of(row))
            for piece in pieces:
                if not piece & inner:
                    held |= piece
            more = {i for i in bound if i not in inner and i not in held}
            if not more:
                return inner
            inner |= more

    def argument(
        self,
        bound: Sequence[Index],
        guards: Sequence[Cond],
        factors: Sequence[Factor],
        column: Subscript,
        extent: Size,
        s: Define,
    ) -> tuple[Tensor, tuple[Index, ...], Fraction]:
        """What is transformed, as a tensor, with its indices but the last; and a number that it is
        to be multiplied with."""
        taken = {i.name for i in s.indices} | {i.name for i in bound}
        for x in (*guards, *(a for a, _ in factors)):
            taken.update(i.name for i in free_indices(x))
        taken.update(i.name for i in indices_of(column))
        last = fresh(Index("m", extent), taken)
        value = term(ONE, bound, [*guards, Zero(at(last) - column)], factors)
        value = None if value is None else eliminate(value)
        if value is None:  # nothing is in range
            value = Term(Fraction(0), (), (), ())
        match value:
            case Term(_, (), (), ((Access() as read, exponent),)) if exponent == 1:
                subs = [sub.index for sub in read.subs]
                if is_whole(read) and subs[-1] is last and len(set(subs)) == len(subs):
                    plain = tuple(i for i in subs[:-1] if i is not None)
                    return read.tensor, plain, value.coef
        order = [i for i in s.indices if i in indices_in(value)]
        order += [i for i in indices_in(value) if i not in order]
        own = tuple(i for i in order if i is not last and i not in value.bound)
        key = (own, last.extent, value)
        if key not in self.given:
            target = self.tensor("given", (*own, last), s, f"given_{s.target.name}")
            self.given[key] = target
            body = expression((value,)) if value.coef else expression(())
            self.write(Define(target, (*own, last), body, s.source, False))
        return self.given[key], own, ONE

    # Transforms.

    def joined(self, parts: Sequence[_Part], s: Define) -> list[Found]:
        """The parts, cosines and sines of one transform together: with the coefficient, the row of
        the table and the operands of each."""
        left = list(parts)
        found: list[Found] = []
        while left:
            one = left.pop(0)
            other = next(
                (
                    two
                    for two in left
                    if two.place == one.place
                    and two.matrix != one.matrix
                    and abs(two.rest.coef) == abs(one.rest.coef)
                ),
                None,
            )
            if other is not None:
                left.remove(other)
            pair = (one, other) if one.matrix.endswith("cos") else (other, one)
            if one.matrix.startswith("half"):
                found.append(self.halved(pair[0], pair[1], s))
            elif pair[0] is None or pair[1] is None:
                found.append(_single(one))
            else:
                found.append(_double(*pair))
        return found

    def whole(self, found: Found, s: Define) -> Opaque | None:
        """The transform that a statement is, where it is nothing else."""
        part, row, operands = found
        subs = (*part.outer, part.row.index)
        rest = part.rest
        key = Opaque(row, operands, ())
        if key in self.made or subs != s.indices or rest != Term(ONE, (), (), ()):
            return None
        return Opaque(row, operands, tuple(map(at, s.indices)))

    def read(self, found: Found, s: Define) -> Term | None:
        """The term that reads the transform."""
        part, row, operands = found
        made = self.transform(row, operands, part.outer, s, part.length)
        read = Access(made, (*map(at, part.outer), part.row))
        rest = part.rest
        return term(rest.coef, rest.bound, rest.guards, [*rest.factors, (read, ONE)])

    def transform(
        self,
        row: str,
        operands: tuple[Tensor, ...],
        outer: Sequence[Index],
        s: Define,
        extent: Size,
    ) -> Tensor:
        """The tensor of a transform's values."""
        key = Opaque(row, operands, ())
        if key not in self.made:
            last = fresh(Index("k", extent), {i.name for i in outer})
            shape = (*operands[0].shape[:-1], extent)
            axes = tuple(Index(i.name, n) for i, n in zip((*outer, last), shape, strict=True))
            word, _, part = row.partition("_")
            name = WORDS[word.removeprefix("c")]
            target = self.tensor("", axes, s, f"{name}_{part}" if part else name)
            self.made[key] = target
            self.out.append(
                Define(target, axes, Opaque(row, operands, tuple(map(at, axes))), s.source, False)
            )
        return self.made[key]

    def tensor(self, word: str, axes: Sequence[Index], s: Define, wanted: str = "") -> Tensor:
        target = Tensor(
            self.linear.name(wanted or f"{word}_{s.target.name}"),
            tuple(i.extent for i in axes),
            s.target.dtype,
        )
        self.linear.letters[target] = self.letters(axes, s)
        return target

    def letters(self, axes: Sequence[Index], s: Define) -> tuple[str, ...]:
        """Letters for people: those of the statement's axes, and others."""
        own = dict(zip(s.indices, self.linear.letters.get(s.target, ()), strict=False))
        found: list[str] = []
        for index in axes:
            wanted = own.get(index, index.name)
            letter = wanted if wanted.isidentifier() else "k"
            n = 1
            while letter in found:
                n += 1
                letter = f"{wanted if wanted.isidentifier() else 'k'}{n}"
            found.append(letter)
        return tuple(found)


def _weights(like: Tensor, whole: Size) -> Tensor:
    """What the weights of half a transform of this length are called."""
    half = like.shape[-1]
    return Tensor(f"{WEIGHTS}{half}{PRIVATE}{whole}", (half,), like.dtype)


def _with(value: Term, factors: Sequence[Factor], more: Expr) -> Term:
    """The term with these factors, and one more."""
    (part,) = poly(more)
    made = term(value.coef * part.coef, value.bound, value.guards, [*factors, *part.factors])
    assert made is not None
    return made


def _over(rest: Term, extent: Size) -> Term | None:
    """The term without its division by an extent, None where it has none."""
    n = extent.literal
    if n is not None:
        if n > 1 and rest.coef.denominator % int(n) == 0:
            return replace(rest, coef=rest.coef * int(n))
        return None
    made = term(rest.coef, rest.bound, rest.guards, [*rest.factors, (SizeOf(extent), ONE)], False)
    less = made is not None and len(made.factors) < len(rest.factors)
    return made if less else None


def _single(part: _Part) -> Found:
    """The cosines alone, or the sines alone: a transform of a real array."""
    over = _over(part.rest, part.given.shape[-1])
    word = "fft" if over is None else "ifft"
    rest = part.rest if over is None else over
    name = "real" if part.matrix == "cos" else "imag"
    if word == "fft" and part.matrix == "sin":
        rest = _times(rest, -ONE)
    return replace(part, rest=rest), f"{word}_{name}", (part.given,)


def _double(cosines: _Part, sines: _Part) -> Found:
    """Both: the transform of a complex array, with or without a division by its length.

    What is divided by it came from an inverse transform, and goes back by one that isn't.
    """
    plus = cosines.rest.coef == sines.rest.coef
    extent = cosines.given.shape[-1]
    divided = _over(cosines.rest, extent) is not None
    if divided:
        pair = (cosines.given, sines.given) if plus else (sines.given, cosines.given)
        return cosines, f"cfft_{'real' if plus else 'imag'}", pair
    made = term(
        cosines.rest.coef,
        cosines.rest.bound,
        cosines.rest.guards,
        [*cosines.rest.factors, (SizeOf(extent), ONE)],
        False,
    )
    assert made is not None
    pair = (sines.given, cosines.given) if plus else (cosines.given, sines.given)
    return replace(cosines, rest=made), f"cifft_{'imag' if plus else 'real'}", pair


def _times(value: Term, coef: Fraction) -> Term:
    return Term(value.coef * coef, value.bound, value.guards, value.factors)

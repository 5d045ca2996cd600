"""Symmetric and antisymmetric values: which are known, and how their reads are oriented."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from random import Random

import pytest

from pullback.calculus.normal import Poly, Term, canonical, collect, expression, poly, term
from pullback.calculus.symmetry import Symmetries
from pullback.ir.expr import Access, Tensor
from pullback.ir.interpret import Array, evaluate
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse

N = size("N")
I, J, K, L = (Index(letter, N) for letter in "ijkl")  # noqa: E741
R, D = Tensor("R", (N, N)), Tensor("D", (N, N))
U, E = Tensor("U", (N, N, N)), Tensor("E", (N, N, N))
X = Tensor("X", (N,))
COUNT = 3

# Definitions over i, j (and k), and the axes that may be swapped, with the sign that this gives.
DEFINITIONS = (
    ("x[i]*x[j]", {(0, 1, 1)}),
    ("x[i] - x[j]", {(0, 1, -1)}),
    ("x[i] + x[j]", {(0, 1, 1)}),
    ("x[i]*y[j] - x[j]*y[i]", {(0, 1, -1)}),
    ("x[i]*y[j]", set()),
    ("x[i]*[i < j]", set()),
    ("x[i]*[i = j]", {(0, 1, 1)}),
    ("[i = j]*x[j]*y[i] + x[i]*x[j]", {(0, 1, 1)}),
    ("[j = i]*x[j]*[x[i] > 1] + x[i]*x[j]", {(0, 1, 1)}),
    ("[i != j]*x[i]*x[j]", {(0, 1, 1)}),
    ("sum(n:N) Z[n,i]*Z[n,j] - [i = j]", {(0, 1, 1)}),
    ("sum(n:N) Z[n,i]*Z[j,n]", set()),
    ("Z[i,j] - Z[j,i]", {(0, 1, -1)}),
    ("Z[i,j] - 2*Z[j,i]", set()),
    ("(x[i] - x[j])**2", {(0, 1, 1)}),
    ("(x[i] - x[j])*x[k]", {(0, 1, -1)}),
    ("x[i]*x[k]*y[j]", {(0, 2, 1)}),
    ("x[i]*x[j]*x[k]", {(0, 1, 1), (0, 2, 1), (1, 2, 1)}),
    ("0*x[i]*x[j]", set()),
)


@pytest.mark.parametrize(("text", "swaps"), DEFINITIONS)
def test_the_symmetries_of_definitions(text: str, swaps: set[tuple[int, int, int]]) -> None:
    axes = "i:N,j:N,k:N" if "k" in text else "i:N,j:N"
    statement = parse(f"x[N]; y[N]; Z[N,N]; Y[{axes}] = {text}").statements[-1]
    known = Symmetries()
    known.learn(statement.target, statement.indices, collect(poly(statement.body, True)))
    assert set(known.swaps.get(statement.target, ())) == swaps


def symmetries() -> Symmetries:
    """R is symmetric, D antisymmetric, U symmetric in its last two axes, E antisymmetric in all."""
    known = Symmetries()
    known.swaps = {R: ((0, 1, 1),), D: ((0, 1, -1),), U: ((1, 2, 1),)}
    known.swaps[E] = tuple((a, b, -1) for a, b in combinations(range(3), 2))
    return known


def values(seed: int) -> dict[str, Array]:
    rng = Random(seed)
    numbers = range(COUNT)
    some = {(i, j, k): rng.uniform(-1, 1) for i in numbers for j in numbers for k in numbers}
    r = [some[min(i, j), max(i, j), 0] for i in numbers for j in numbers]
    d = [some[min(i, j), max(i, j), 1] * ((i < j) - (j < i)) for i in numbers for j in numbers]
    u = [some[i, min(j, k), max(j, k)] for i in numbers for j in numbers for k in numbers]
    e = [(i - j) * (j - k) * (k - i) / 2 for i in numbers for j in numbers for k in numbers]
    x = [rng.uniform(-1, 1) for _ in numbers]
    square = (COUNT, COUNT)
    return {
        "R": Array(square, r),
        "D": Array(square, d),
        "U": Array((COUNT, *square), u),
        "E": Array((COUNT, *square), e),
        "X": Array((COUNT,), x),
    }


def random_term(rng: Random) -> Term:
    indices = (I, J, K, L)
    factors = []
    for tensor in rng.choices((R, D, U, E, X), k=rng.randint(1, 4)):
        subs = tuple(map(at, rng.sample(indices, len(tensor.shape))))
        factors.append(
            (Access(tensor, subs), Fraction(rng.choice((1, 1, 1, 2, -1)) if tensor is X else 1))
        )
    made = term(Fraction(rng.choice((1, -2))), (K, L), (), factors)
    assert made is not None
    return made


def turned(value: Term, rng: Random) -> Term | None:
    """The same term, some of its reads in another orientation."""
    coef, factors = value.coef, []
    for atom, exponent in value.factors:
        if isinstance(atom, Access) and atom.tensor is not X and rng.random() < 0.5:
            *first, one, two = atom.subs
            coef *= (-1 if atom.tensor in (D, E) else 1) ** exponent.numerator
            atom = Access(atom.tensor, (*first, two, one))
            if atom.tensor is E and rng.random() < 0.5:
                atom = Access(E, (two, *first, one))  # turned round, which is no swap
                coef *= (-1) ** exponent.numerator
        factors.append((atom, exponent))
    return term(coef, value.bound, value.guards, factors)


def keyed(value: Term | None) -> tuple[Term, Fraction] | None:
    """A term up to the names of its indices, and its number."""
    return None if value is None else (canonical(value), value.coef)


def number(value: Poly, arrays: dict[str, Array]) -> list[float]:
    places = [{I: i, J: j} for i in range(COUNT) for j in range(COUNT)]
    return [float(evaluate(expression(value), p, arrays, {"N": COUNT})) for p in places]


@pytest.mark.parametrize("seed", range(60))
def test_every_orientation_of_a_term_becomes_the_same(seed: int) -> None:
    rng = Random(seed)
    known, value = symmetries(), random_term(rng)
    made = known.oriented(value)
    others = [known.oriented(other) for _ in range(4) if (other := turned(value, rng)) is not None]
    for other in others:
        assert keyed(made) == keyed(other), (value, made, other)
    arrays = values(seed)
    found = [] if made is None else [made]
    assert number(collect([value]), arrays) == pytest.approx(number(collect(found), arrays))

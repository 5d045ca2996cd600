"""Random terms and conditions, and what they mean: by the interpreter, at every point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any

from hypothesis import strategies as st

from pullback.calculus.normal import Poly, Term, term
from pullback.calculus.present import Known
from pullback.ir.expr import (
    Access,
    Add,
    Compare,
    Cond,
    Divides,
    Expr,
    Guard,
    Inside,
    Mul,
    Not,
    Power,
    Reduce,
    Tensor,
    Zero,
    number,
)
from pullback.ir.interpret import Array, evaluate
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, Subscript, at, constant

N, M = size("N"), size("M")
I, J = Index("i", N), Index("j", M)  # noqa: E741
A, B, C = Index("a", N), Index("b", M), Index("c", N)
SIZES = ({"N": 3, "M": 2}, {"N": 1, "M": 3}, {"N": 2, "M": 1})
X, Y, Z, W = (
    Tensor("X", (N,)),
    Tensor("Y", (N, M)),
    Tensor("Z", (M,)),
    Tensor("W", (N, N)),
)
TENSORS = (X, Y, Z, W)


def read(tensor: Tensor, *subs: Index | Subscript | int) -> Access:
    """``tensor[subs]``."""

    def plain(sub: Index | Subscript | int) -> Subscript:
        if isinstance(sub, Index):
            return at(sub)
        return constant(sub) if isinstance(sub, int) else sub

    return Access(tensor, tuple(map(plain, subs)))


def made(
    bound: Sequence[Index] = (),
    guards: Sequence[Cond] = (),
    *factors: Access | tuple[Expr, int | str | Fraction],
    coef: int | Fraction = 1,
) -> Term:
    """A term; a factor alone has the exponent 1."""
    pairs = [f if isinstance(f, tuple) else (f, 1) for f in factors]
    out = term(Fraction(coef), bound, guards, [(a, Fraction(e)) for a, e in pairs])
    assert out is not None
    return out


def literal(value: Term) -> Expr:
    """What a term says: one sum of one product, nothing moved."""
    powers = [Power(atom, exponent) for atom, exponent in value.factors]
    body = Mul((number(value.coef), *map(Guard, value.guards), *powers))
    return Reduce("sum", value.bound, (), body) if value.bound else body


def literals(value: Poly) -> Expr:
    """What a sum of terms says."""
    return Add(tuple(map(literal, value)))


def arrays(
    sizes: Mapping[str, int],
    seed: int,
    tensors: Sequence[Tensor] = TENSORS,
    among: Sequence[float] = (),
) -> dict[str, Array]:
    """Values of both signs away from 0, or any of ``among``."""
    rng = Random(seed)

    def draw() -> float:
        return rng.choice(among) if among else rng.choice((-1, 1)) * rng.uniform(0.5, 2)

    found = {}
    for tensor in tensors:
        shape = tuple(n.value(sizes) for n in tensor.shape)
        count = 1
        for n in shape:
            count *= n
        found[tensor.name] = Array(shape, [draw() for _ in range(count)])
    return found


def points(indices: Sequence[Index], sizes: Mapping[str, int]) -> list[dict[Index, int]]:
    """Every point of the indices' ranges."""
    ranges = (range(max(i.extent.value(sizes), 0)) for i in indices)
    return [dict(zip(indices, place, strict=True)) for place in product(*ranges)]


def values(
    value: Expr,
    indices: Sequence[Index],
    given: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> list[Any]:
    """An expression's value at every point."""
    return [evaluate(value, point, given, sizes) for point in points(indices, sizes)]


def assert_equal(
    found: Expr,
    expected: Expr,
    indices: Sequence[Index],
    given: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> None:
    """Equal at every point where the expected value is finite (nothing may become undefined)."""
    ours, theirs = values(found, indices, given, sizes), values(expected, indices, given, sizes)
    for a, b in zip(ours, theirs, strict=True):
        if abs(b) < float("inf"):
            assert abs(a - b) <= 1e-9 * (1 + abs(b)), f"{a} for {b}\n{found}\n{expected}"


@st.composite
def subscripts(draw: st.DrawFn, indices: Sequence[Index] = (I, J, A, B)) -> Subscript:
    """Affine in up to two indices, perhaps divided or reduced."""
    sub = constant(draw(st.sampled_from((0, 0, 0, 1, -1, 2, -3))))
    for index in draw(st.lists(st.sampled_from(indices), max_size=2, unique=True)):
        sub = sub + at(index) * draw(st.sampled_from((1, 1, -1, 2, 3)))
    over = draw(st.sampled_from((2, 3)))
    kind = draw(st.sampled_from(("", "", "", "//", "%")))
    return {"": sub, "//": sub // over, "%": sub % over}[kind]


@st.composite
def ranges(draw: st.DrawFn, indices: Sequence[Index] = (I, J, A, B)) -> Cond:
    """A condition on indices."""
    sub = draw(subscripts(indices))
    extent = draw(st.sampled_from((size(1), size(2), size(4), N, M, N * 3)))
    options: list[Cond] = [
        Zero(sub),
        Inside(sub, extent),
        Divides(draw(st.sampled_from((size(1), size(2), size(3)))), sub),
        Not(Zero(sub)),
    ]
    return draw(st.sampled_from(options))


@st.composite
def comparisons(draw: st.DrawFn, indices: Sequence[Index] = (I, A)) -> Cond:
    """A comparison of few values, so that several of them meet."""
    sides = [number(0), number(1), *(read(X, index) for index in indices)]
    side = st.sampled_from(sides)
    return Compare(draw(st.sampled_from(("<", "<=", "==", "!="))), draw(side), draw(side))


@st.composite
def terms(draw: st.DrawFn, guarded: bool = True) -> Term:
    """A term with the free indices i:N and j:M; every read is in bounds everywhere."""
    bound = draw(st.lists(st.sampled_from((A, B, C)), max_size=3, unique=True))
    rows = [I, *(i for i in bound if i.extent is N)]
    columns = [J, *(i for i in bound if i.extent is M)]
    row, column = st.sampled_from(rows), st.sampled_from(columns)
    access = st.one_of(
        st.builds(lambda r: read(X, r), row),
        st.builds(lambda r, c: read(Y, r, c), row, column),
        st.builds(lambda c: read(Z, c), column),
        st.builds(lambda r, s: read(W, r, s), row, row),
    )
    exponent = st.sampled_from([Fraction(n) for n in (1, 1, 1, 2, -1)])
    factors = draw(st.lists(st.tuples(access, exponent), min_size=1, max_size=4))
    guard = st.one_of(ranges((*rows, *columns)), comparisons(rows))
    guards = draw(st.lists(guard, max_size=2)) if guarded else []
    coef = Fraction(draw(st.sampled_from(("1", "2", "-1", "1/2", "-3/2"))))
    return term(coef, bound, guards, factors) or made(bound, (), *factors, coef=coef)


def known(finite: Callable[[Tensor], bool]) -> Known:
    """What is known where these tensors are finite and none is the value of a function."""
    return Known(lambda question, tensor: finite(tensor) if question == "finite" else "")

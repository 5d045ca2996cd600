"""Every row of the table of scalar functions, against oracles that are not the row."""

from __future__ import annotations

import importlib
import itertools
import math
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback.errors import DerivationError
from pullback.functions import ROWS, TABLE, Function
from pullback.ir.arithmetic import FLOAT, SINC_ORDERS
from pullback.ir.expr import Access, Apply, Tensor
from pullback.ir.interpret import Array, evaluate
from pullback.ir.special import NAMES
from pullback.verify.decimals import DECIMALS

MP = DECIMALS.context

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)

# Spelled by no single NumPy function.
SPELLINGS = {"softplus": lambda x: np.logaddexp(0.0, x)}


def sinc(order: int) -> Any:
    """The derivative of sin(pi x)/(pi x): t s(t) = sin(t), differentiated again and again."""

    def value(x: float) -> float:
        if not math.isfinite(x):
            return math.nan
        if not x:
            return (0, 1, 0, -1)[(order + 1) % 4] * math.pi**order / (order + 1)
        with MP.workdps(80 + 10 * order):
            t = MP.mpf(math.pi * x)
            waves = MP.sin(t), MP.cos(t), -MP.sin(t), -MP.cos(t)
            total = waves[0] / t
            for k in range(1, order + 1):
                total = (waves[k % 4] - k * total) / t
            return float(total * MP.pi**order)

    return value


SPELLINGS |= {f"sinc{order}": sinc(order) for order in range(1, SINC_ORDERS + 1)}


def numpy_of(row: Function) -> Any:
    if not row.numpy:
        return SPELLINGS[row.name]
    module, name = row.numpy.rsplit(".", 1)
    return getattr(importlib.import_module({"np": "numpy"}.get(module, module)), name)


def interior(row: Function, count: int = 12) -> list[tuple[float, ...]]:
    """Points inside a row's domain, none of them round."""
    rng = Random(row.name)
    points = [
        tuple(low + (high - low) * rng.uniform(0.02, 0.98) for low, high in row.domain)
        for _ in range(count)
    ]
    whole = row.parameters if row.counted else 0
    return [(*map(float, map(round, at[:whole])), *at[whole:]) for at in points]


def partial_at(row: Function, k: int, at: tuple[Any, ...], arithmetic: Any = DECIMALS) -> Any:
    """The row's k-th partial derivative, evaluated by the interpreter."""
    tensors = [Tensor(f"a{n}", ()) for n in range(row.arity)]
    args = tuple(Access(t, ()) for t in tensors)
    partial = row.partials[k]
    assert partial is not None
    arrays = {t.name: Array((), [arithmetic.element(x)]) for t, x in zip(tensors, at, strict=True)}
    return evaluate(partial(args, Apply(row.name, args)), {}, arrays, {}, arithmetic)


@every_row
def test_the_interpreter_and_numpy_agree_on_the_value(row: Function) -> None:
    function = numpy_of(row)
    for at in interior(row):
        expected = float(function(*at))
        assert FLOAT.apply(row.name, at) == pytest.approx(expected, rel=1e-12, abs=1e-14)
        exact = float(DECIMALS.apply(row.name, [MP.mpf(x) for x in at]))
        assert exact == pytest.approx(expected, rel=1e-12, abs=1e-14)


EDGES = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 700.0, -700.0, 1e300, -1e300)
POLES = ("gamma", "gammasgn", "digamma")  # of which the sign of a zero decides
SPECIAL = (math.inf, -math.inf, math.nan)


@every_row
def test_the_interpreter_and_numpy_agree_at_the_edges(row: Function) -> None:
    function = numpy_of(row)
    values = (*EDGES, *SPECIAL) if row.arity < 3 else (0.0, 1.0, -1.0, math.inf, math.nan)
    if row.name in NAMES and row.arity > 1 and "_" not in row.name:
        values = (0.5, 1.0, 2.0, 2.5, 20.0)  # SciPy's own edges contradict each other
    if row.name in ("j0", "j1", "y0", "y1"):
        values = tuple(x for x in values if not abs(x) > 700)  # SciPy has no digit of the cosine
    for at in itertools.product(values, repeat=row.arity):
        if row.name == "pow" and at == (-math.inf, 0.5):
            continue  # C says inf, NumPy takes the root: NaN
        if row.name in POLES and at == (0.0,) and math.copysign(1, at[0]) < 0:
            continue  # mpmath has no -0.0
        with np.errstate(all="ignore"):
            expected = float(function(*at))
        found = FLOAT.apply(row.name, at)
        if math.isnan(expected):
            assert math.isnan(found), at
        else:
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-300), at


@every_row
def test_partials_are_the_derivatives(row: Function) -> None:
    """By differences in 50 digits of a value that has nothing to do with the row."""
    if row.name == f"sinc{SINC_ORDERS}":
        with pytest.raises(DerivationError, match="order 9 of sinc"):
            partial_at(row, 0, (0.5,))
        return
    for at in interior(row, 6):
        point = [MP.mpf(x) for x in at]
        for k in range(row.parameters):
            with pytest.raises(DerivationError, match=f"the derivative of {row.name} by its"):
                partial_at(row, k, tuple(point))
        for k in range(row.parameters, row.arity):
            step = MP.mpf(10) ** -20
            moved = [[x + s * step * (n == k) for n, x in enumerate(point)] for s in (1, -1)]
            rise = DECIMALS.apply(row.name, moved[0]) - DECIMALS.apply(row.name, moved[1])
            slope = rise / (2 * step)
            if row.partials[k] is None:
                assert slope == 0
                continue
            found = partial_at(row, k, tuple(point))
            assert abs(found - slope) <= MP.mpf(10) ** -18 * (1 + abs(slope)), (k, at)


@every_row
def test_partials_are_numbers_all_over_the_domain(row: Function) -> None:
    last = row.name == f"sinc{SINC_ORDERS}"
    for at in interior(row, 40):
        assert math.isfinite(FLOAT.apply(row.name, at))
        for k, partial in enumerate(row.partials):
            if partial is not None and not last and k >= row.parameters:
                assert math.isfinite(partial_at(row, k, at, FLOAT)), (k, at)


@every_row
def test_facts_about_the_output_hold(row: Function) -> None:
    """Bounds, sign and wholeness, at points far outside the sample domain too."""
    rng = Random(f"{row.name} facts")
    count = 30 if row.name in NAMES else 200
    wide = [tuple(rng.uniform(-40, 40) for _ in row.domain) for _ in range(count)]
    grid = itertools.product((-3.0, -1.5, -1.0, 0.0, 0.5, 1.0, 2.0), repeat=row.arity)
    for at in (*interior(row, 40), *wide, *grid):
        value = DECIMALS.apply(row.name, [MP.mpf(x) for x in at])
        if value != value or not MP.isfinite(value):
            continue
        assert row.low <= value <= row.high, at
        assert not row.positive or value > 0, at
        assert not row.integer or value == int(value), at


@every_row
def test_bounds_that_are_claimed_are_as_tight_as_they_look(row: Function) -> None:
    """A bound of 0 or 1 that is never approached would be a slip (cosh's 1 is reached)."""
    points = [*itertools.product((-30.0, -2.0, -1.0, 0.0, 0.7, 1.0, 2.0, 30.0), repeat=row.arity)]
    values = [FLOAT.apply(row.name, at) for at in (*points, *interior(row, 60))]
    finite = [v for v in values if math.isfinite(v)]
    if math.isfinite(row.low):
        assert min(finite) <= row.low + 0.35
    if math.isfinite(row.high):
        assert max(finite) >= row.high - 0.35


@every_row
def test_a_row_is_complete(row: Function) -> None:
    assert TABLE[row.name] is row
    assert len(row.domain) == row.arity >= 1
    assert all(low < high for low, high in row.domain)
    assert callable(numpy_of(row))
    assert row.name in DECIMALS.values


def test_names_are_distinct() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) == len(TABLE)


HALF = Fraction(1, 2)
# The published conventions at kinks and ties: function, point, partial derivatives there.
KINKS = (
    ("abs", (0,), (0,)),
    ("maximum", (2, 2), (HALF, HALF)),
    ("maximum", (3, 2), (1, 0)),
    ("minimum", (2, 2), (HALF, HALF)),
    ("minimum", (3, 2), (0, 1)),
    ("clip", (-1, -1, 1), (1, 0, 0)),
    ("clip", (1, -1, 1), (1, 0, 0)),
    ("clip", (-2, -1, 1), (0, 1, 0)),
    ("clip", (2, -1, 1), (0, 0, 1)),
    ("xlogy", (0, 2), (math.log(2), 0)),
    ("pow", (0, 2), (0, 0)),
    ("pow", (0, 0), (0, 0)),
    ("copysign", (0, 2), (0, None)),
    ("copysign", (-3, 2), (-1, None)),
)


@pytest.mark.parametrize(("name", "at", "expected"), KINKS, ids=lambda x: str(x))
def test_conventions_at_kinks(
    name: str, at: tuple[float, ...], expected: tuple[float | None, ...]
) -> None:
    row = TABLE[name]
    for k, share in enumerate(expected):
        if share is None:
            assert row.partials[k] is None
        else:
            assert partial_at(row, k, at, FLOAT) == pytest.approx(float(share))


def test_a_kink_is_never_the_sum_of_more_than_one_share() -> None:
    """Whatever the order of a clip's arguments, it passes the gradient of exactly one of them."""
    values = (-2.0, -1.0, 0.0, 1.0, 2.0)
    for at in itertools.product(values, repeat=3):
        shares = [partial_at(TABLE["clip"], k, at, FLOAT) for k in range(3)]
        assert sum(shares) == 1, (at, shares)

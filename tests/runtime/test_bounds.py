"""Whole numbers of index notation are exact or refused; work and memory are bounded beforehand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import pytest

import pullback as pb
from pullback.errors import LimitError, PullbackError, ShapeError
from pullback.ir.interpret import run
from pullback.ir.magnitudes import ENDLESS, INT64, Magnitudes, is_beyond
from pullback.ir.sizes import size
from pullback.notation.parse import parse

Whole = tuple[str, Callable[[int, int], int], Callable[[int, int], int]]


def whole(random: Random, depth: int) -> Whole:
    """Index notation of whole numbers of an index i and a value y[i], what it is in Python, and
    what bounds it."""
    if not depth:
        n = random.choice([1, 2, 7, 1000, 2**31, 3 * 10**9, 2**53 + 1])
        return random.choice([
            ("i", lambda i, y: i, lambda i, y: i),
            ("y[i]", lambda i, y: y, lambda i, y: abs(y)),
            (f"(i + {n})", lambda i, y: i + n, lambda i, y: i + n),
        ])  # fmt: skip
    text, value, bound = whole(random, depth - 1)
    other, second, above = whole(random, depth - 1)
    n = random.randint(2, 9)
    match random.choice(["+", "-", "*", "**", "sum", "prod", "max"]):
        case "+":
            return (
                f"({text} + {other})",
                lambda i, y: value(i, y) + second(i, y),
                lambda i, y: bound(i, y) + above(i, y),
            )
        case "-":
            return (
                f"({text} - {other})",
                lambda i, y: value(i, y) - second(i, y),
                lambda i, y: bound(i, y) + above(i, y),
            )
        case "*":
            return (
                f"({text}*{other})",
                lambda i, y: value(i, y) * second(i, y),
                lambda i, y: bound(i, y) * above(i, y),
            )
        case "**":
            return f"({text}**{n})", lambda i, y: value(i, y) ** n, lambda i, y: bound(i, y) ** n
        case "sum":
            return (
                f"(sum(k{depth}:{n}) ({text}*(k{depth} + 1)))",
                lambda i, y: sum(value(i, y) * (k + 1) for k in range(n)),
                lambda i, y: sum(bound(i, y) * (k + 1) for k in range(n)),
            )
        case "prod":
            return (
                f"(prod(k{depth}:{n}) ({text} + k{depth}))",
                lambda i, y: math.prod(value(i, y) + k for k in range(n)),
                lambda i, y: math.prod(bound(i, y) + k for k in range(n)),
            )
        case _:
            return (
                f"maximum({text}, {other})",
                lambda i, y: max(value(i, y), second(i, y)),
                lambda i, y: max(bound(i, y), above(i, y)),
            )


def cases(count: int) -> Iterator[tuple[Whole, np.ndarray]]:
    random = Random(7)
    for _ in range(count):
        most = random.choice([3, 50, 10**6, 10**10])
        y = np.array([random.randint(-most, most) for _ in range(3)])
        yield whole(random, random.randint(1, 3)), y


def test_whole_numbers_times_floats_are_right() -> None:
    X = np.array([0.3, 0.7, -1.5])
    answered = 0
    for (text, value, bound), y in cases(150):
        formula = f"y: int[N]\nY[i] = X[i]*{text}"
        try:
            with np.errstate(over="ignore"):
                found = pb.define(formula)(y, X)
        except LimitError:
            assert max(bound(i, int(n)) for i, n in enumerate(y)) >= 2**60, formula
            continue
        answered += 1
        for i, n in enumerate(y):
            expected, error = value(i, int(n)), 1e-13 * _float(bound(i, int(n)))
            assert abs(found[i] - X[i] * _float(expected)) <= error or not math.isfinite(error), (
                formula
            )
    assert answered > 100


def test_whole_numbers_are_exact_or_refused() -> None:
    answered = refused = 0
    for (text, value, bound), y in cases(150):
        formula = f"y: int[N]\nZ: int[i:N] = {text}"
        exact = [value(i, int(n)) for i, n in enumerate(y)]
        try:
            found = pb.define(formula)(y)
        except LimitError:
            refused += 1
            assert max(bound(i, int(n)) for i, n in enumerate(y)) >= 2**60 or "**" in text, formula
            continue
        answered += 1
        assert [int(n) for n in found] == exact, formula
        assert run(parse(formula), {"y": y})["Z"].flat == exact
    assert answered > 50 and refused > 20


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def test_products_beyond_64_bits() -> None:
    product = pb.define("X[2]\nY[i] = X[i]*prod(k:30) (k+1+i)")
    expected = [0.3 * math.factorial(30), 0.7 * math.factorial(31)]
    np.testing.assert_allclose(product([0.3, 0.7]), expected, rtol=1e-14)
    cube = pb.define("Y[i] = X[i]*(i+3000000000)**3")
    exact = [0.3 * 3000000000**3, 0.7 * 3000000001**3]
    np.testing.assert_allclose(cube(np.array([0.3, 0.7])), exact, rtol=1e-14)
    value, pull = pb.vjp(cube, np.array([0.3, 0.7]))
    np.testing.assert_allclose(value, exact, rtol=1e-14)
    np.testing.assert_allclose(pull(np.ones(2))[0], [3.0e9**3, 3000000001.0**3], rtol=1e-14)
    forward, backward = pb.derive("X[2]\nY[i] = X[i]*prod(k:30) (k+1+i)").compile()
    value, cache = forward(np.array([0.3, 0.7]))
    np.testing.assert_allclose(value, expected, rtol=1e-14)
    gradient = backward(np.ones(2), cache)
    np.testing.assert_allclose(
        gradient, [float(math.factorial(30)), float(math.factorial(31))], rtol=1e-14
    )


def test_integers_of_few_bits_dont_wrap() -> None:
    y = np.array([100, -128], np.int8)
    assert pb.define("y: int8[N]\nY[i] = X[i]*(y[i]*y[i])")(y, np.ones(2)).tolist() == [1e4, 16384]
    assert pb.define("y: int8[N]\nY: int[i] = y[i]*y[i] - 1")(y).tolist() == [9999, 16383]
    with pytest.raises(LimitError, match="may not fit into 8 bits"):
        pb.define("y: int8[N]\nY: int8[i] = 2*y[i]")(y)


def test_comparisons_are_of_exact_integers() -> None:
    above = pb.define("y: int[N]\nX[N]\nY[i] = X[i]*[y[i]*y[i] = 9007199254740993*y[0]]")
    X = np.ones(2)
    assert above(np.array([1, 3]), X).tolist() == [0, 0]
    with pytest.raises(LimitError):
        above(np.array([10**12, 1]), X)
    assert pb.grad(lambda x: above(np.array([1, 3]), x).sum())(X).tolist() == [0, 0]


@pytest.mark.parametrize("steps", [10, 60, 64, 5000])
def test_recurrences_of_integers(steps: int) -> None:
    sums = pb.define("m: int[T]\nc: int[t] = m[t] + where(t >= 1, c[t-1], 0)")
    assert sums(np.ones(steps, int)).tolist() == list(range(1, steps + 1))
    double = pb.define("m: int[T]\nc: int[t] = m[t] + where(t >= 1, 2*c[t-1], 0)")
    if steps < 63:
        assert double(np.ones(steps, int)).tolist() == [2 ** (t + 1) - 1 for t in range(steps)]
    else:
        with pytest.raises(LimitError):
            double(np.ones(steps, int))


def test_a_formula_inside_a_traced_function_is_refused_where_integers_would_wrap() -> None:
    cube = pb.define("Y[i] = X[i]*(i+3000000000)**3")
    with pytest.raises(LimitError, match="may not fit"):
        pb.grad(lambda x: cube(2 * x).sum())(np.ones(2))
    square = pb.define("Y[i] = X[i]*(i+3)**2")
    assert pb.grad(lambda x: square(2 * x).sum())(np.ones(2)).tolist() == [18, 32]


def test_powers_of_sizes_overflow_as_floats() -> None:
    assert np.isinf(pb.define("Y[i] = X[i]*I**200")(np.ones(10**4))).all()
    np.testing.assert_allclose(pb.define("Y[i] = X[i]*I**60")(np.ones(20)), 20.0**60)
    assert pb.define("Y[i] = X[i]*prod(k:1000000000000) 2")(np.ones(1)).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("X[70]\nY[i] = X[i]*2**i", [2.0**i for i in range(70)]),
        ("X[70]\nY[i] = X[i]*3**(i-5)", [3.0 ** (i - 5) for i in range(70)]),
        ("X[3]\nY[i] = X[i]*3**(i-1)", [3.0 ** (i - 1) for i in range(3)]),
        ("X[2]\nY[i] = X[i]*sum(k:50) (k+1)**k", [sum((k + 1) ** k for k in range(50))] * 2),
        ("Y[i] = X[i]*2**(I-i)", [2.0 ** (9 - i) for i in range(9)]),
        ("X[7]\nY[i] = X[i]*[2**i > 5]", [0, 0, 0, 1, 1, 1, 1]),
        ("X[9]\nY[i] = X[i]*mod((i+3)**17, 7)", [(i + 3) ** 17 % 7 for i in range(9)]),
    ],
)
def test_powers_of_whole_numbers_by_whole_numbers(text: str, exact: list[float]) -> None:
    ones = np.ones(len(exact))
    np.testing.assert_allclose(pb.define(text)(ones), np.array(exact, float), rtol=1e-14)
    forward, backward = pb.derive(text).compile()
    value, cache = forward(ones)
    np.testing.assert_allclose(value, np.array(exact, float), rtol=1e-14)
    np.testing.assert_allclose(backward(ones, cache), np.array(exact, float), rtol=1e-14)


def test_exponents_that_are_data_may_be_below_0() -> None:
    power = pb.define("y: int[N]\nX[N]\nY[i] = X[i]*2**y[i]")
    assert power(np.array([-1, 3, 70]), np.ones(3)).tolist() == [0.5, 8, 2.0**70]


def test_remainders_are_exact_or_refused() -> None:
    text = "Y[i] = X[i]*mod((i+3)**3, 7)"
    ones, exact = np.ones(300_000), [(i + 3) ** 3 % 7 for i in range(300_000)]
    assert np.array_equal(pb.define(text)(ones), exact)
    forward, backward = pb.derive(text).compile()
    value, cache = forward(ones)
    assert np.array_equal(value, exact)
    assert np.array_equal(backward(ones, cache), exact)
    for beyond in ("X[i]*mod((i+3)**40, 7)", "X[i]*((i+3)**40 % 7)", "X[i]*mod(2**(9*i), 7)"):
        with pytest.raises(LimitError, match="may not fit into 64 bits"):
            pb.define(f"X[9]\nY[i] = {beyond}")(np.ones(9))


def test_constants_count_where_they_meet_whole_numbers() -> None:
    y = np.array([2, 3])
    found = pb.define("y: int[N]\nX[N]\nY[i] = X[i]*(y[i]*7**300)")(y, np.ones(2))
    np.testing.assert_allclose(found, y * 7.0**300)
    for text in ("Y[i] = X[i]*1e20 + 1e20", "Y[i] = X[i]/(I*I*I)", "Y[i] = 0.044715*X[i]**3"):
        formula = pb.define(text)
        assert not is_beyond(parse(text).statements[0].body)
        assert "float64" not in pb.derive(text).source()
        pb.vjp(lambda x: formula(2 * x), np.ones(2))  # noqa: B023


# Work and memory


@pytest.mark.parametrize(
    "text",
    [
        "Y[i] = X[i]*sum(k:1000000000000) k",
        "Y[i] = X[i]*max(k:1000000000000) (k - 3*i)",
        "Y[i] = X[i] + sum(k:1000000, l:1000000, m:1000) sin(k*l*m)",
        "Y[i, j:1000000000000] = X[i]",
        "Y[i] = X[i]*sum(k:1000000000000) [k < i]",
    ],
)
def test_memory_is_bounded_before_it_is_taken(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(LimitError, match="would make an array of") as refused:
        pb.define(text)(np.ones(3))
    assert "pullback.limits.bytes" in str(refused.value)
    with pytest.raises(LimitError):
        pb.derive(text).compile()[0](np.ones(3))
    with pytest.raises(LimitError):
        pb.grad(pb.define(text))(np.ones(3)) if "Y[i]" not in text else pb.vjp(
            pb.define(text), np.ones(3)
        )
    with pytest.raises(LimitError, match="too many points"):
        run(parse(text), {"X": [1.0, 2.0, 3.0]})
    assert time.perf_counter() - start < 10


def test_the_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = "Y[i,j] = exp(X[i] + X[j])"
    assert pb.define(outer)(np.ones(100)).shape == (100, 100)
    monkeypatch.setattr(pb.limits, "bytes", 8 * 99 * 99)
    with pytest.raises(LimitError, match="10000 elements"):
        pb.define(outer)(np.ones(100))


def test_contracted_products_are_not_made() -> None:
    product = pb.define("Y[n,m] = sum(d) X[n,d]*W[d,m]")
    X, W = np.ones((3000, 800)), np.ones((800, 1000))  # 19 GB if all products were made
    assert product(X, W)[0, 0] == 800


@pytest.mark.parametrize(
    "text", ["Y[i] = X[i]*max(k:0) k", "Y[i] = X[i] + argmin(k:0) k", "Y = max(i) X[i]"]
)
def test_a_maximum_over_nothing_is_refused(text: str) -> None:
    X = np.ones(0 if "max(i)" in text else 3)
    with pytest.raises(ShapeError, match="over no elements"):
        pb.define(text)(X)
    with pytest.raises(PullbackError):
        pb.derive(text).compile()[0](X)


def test_magnitudes() -> None:
    body = parse("y: int[N]\nY[i] = (i + 3)*y[i]**2").statements[0].body
    assert not is_beyond(parse("Y[i] = X[i]*i").statements[0].body)
    assert is_beyond(body)
    y = parse("y: int[N]\nY[i] = y[i]").inputs[0]
    assert Magnitudes({"N": 5}, {y: 10}).of(body) == 800 < INT64
    assert Magnitudes().size(size("N") * 3 + 1) == 3 * 2**31 + 1
    assert Magnitudes().of(parse("Y = prod(k:2000) 10").statements[0].body) == ENDLESS


def test_whole_numbers_lose_no_digits_in_single_precision() -> None:
    """They are computed in 64 bits before they meet floats of fewer."""
    forward, _ = pb.derive("Y[i] = X[i]*(i*i*i - (i-1)*(i-1)*(i-1))").compile()
    exact = np.array([i**3 - (i - 1) ** 3 for i in range(3000)], float)
    found, _ = forward(np.ones(3000, np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=2e-7)


@pytest.mark.parametrize("fold", [max, min])
def test_windows_of_whole_numbers(fold: Callable[..., int]) -> None:
    text = f"X: int[N]\nZ[N]\nY[i:N-2] = Z[i]*{fold.__name__}(k:3) X[i+k]"
    values = np.array([1, 5, -2, 3, 7])
    found, _ = pb.derive(text).compile()[0](values, np.ones(5))
    assert found.tolist() == [fold(values[i : i + 3]) for i in range(3)]

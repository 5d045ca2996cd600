"""NumPy functions that are made up of others: values are NumPy's, gradients those of
differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)


def drawn(*shape: int) -> Array:
    return RNG.normal(size=shape)


def positive(*shape: int) -> Array:
    return RNG.uniform(0.3, 2, size=shape)


COUNTS = np.array([1, 2, 0, 3])
WHICH = np.array([[0, 1, 1], [1, 0, 0]])
Case = tuple[Callable[..., Any], tuple[Any, ...]]
CASES: dict[str, Case] = {
    "delete": (lambda x: np.delete(x, 1), (drawn(4),)),
    "delete the last row": (lambda x: np.delete(x, -1, axis=0), (drawn(3, 2),)),
    "delete columns": (lambda x: np.delete(x, [0, -1], axis=1), (drawn(2, 4),)),
    "delete a slice": (lambda x: np.delete(x, slice(None, None, 2)), (drawn(5),)),
    "delete by a mask": (lambda x: np.delete(x, [True, False, True]), (drawn(3),)),
    "insert": (lambda x, y: np.insert(x, 1, y), (drawn(4), 0.7)),
    "insert at the end": (lambda x: np.insert(x, 4, 2.0), (drawn(4),)),
    "insert a row": (lambda x, y: np.insert(x, -1, y, axis=0), (drawn(3, 2), drawn(2))),
    "insert several": (lambda x, y: np.insert(x, [0, 2, 2], y), (drawn(4), drawn(3))),
    "insert columns": (lambda x, y: np.insert(x, [1], y, axis=1), (drawn(2, 3), drawn(2, 2))),
    "resize": (lambda x: np.resize(x, (3, 3)), (drawn(2, 2),)),
    "dsplit": (lambda x: np.dsplit(x, 2)[1], (drawn(2, 2, 4),)),
    "choose": (lambda x, y: np.choose(WHICH, [x, y * y]), (drawn(2, 3), drawn(3))),
    "choose in turn": (lambda x: np.choose(WHICH + 5, [x, 2 * x], mode="wrap"), (drawn(2, 3),)),
    "choose the nearest": (lambda x: np.choose(WHICH * 9, [x, -x], mode="clip"), (drawn(2, 3),)),
    "over axes": (lambda x: np.apply_over_axes(np.sum, x**2, [0, -1]), (drawn(2, 3, 2),)),
    "along an axis": (
        lambda x: np.apply_along_axis(lambda r: r / r.sum(), 0, x),
        (positive(3, 2),),
    ),
    "numbers along": (lambda x: np.apply_along_axis(lambda r: r @ r, -1, x), (drawn(2, 3),)),
    "linspace": (lambda a, b: np.linspace(a, b, 5), (0.3, -1.1)),
    "linspace open": (lambda a, b: np.linspace(a, b, 4, endpoint=False), (drawn(2), drawn(2))),
    "linspace last": (lambda a, b: np.linspace(a, b, 4, axis=-1), (drawn(2), 1.5)),
    "linspace step": (lambda a: np.linspace(a, 2.0, 4, retstep=True)[1], (0.3,)),
    "linspace of one": (lambda a, b: np.linspace(a, b, 1), (0.3, 0.4)),
    "logspace": (lambda a, b: np.logspace(a, b, 4, base=2.0), (0.3, 1.2)),
    "geomspace": (lambda a, b: np.geomspace(a, b, 4), (-0.3, -5.0)),
    "full": (lambda a: np.full((2, 3), a), (0.3,)),
    "full rows": (lambda a: np.full((2, 3), a) * 2, (drawn(3),)),
    "full like": (lambda x, a: x * np.full_like(x, a), (drawn(3), 0.3)),
    "gradient": (lambda f: np.gradient(f), (drawn(5),)),
    "gradients": (lambda f: np.gradient(f, 0.5, 0.2)[1], (drawn(4, 3),)),
    "gradient at ends": (lambda f: np.gradient(f, 0.5, axis=0, edge_order=2), (drawn(5, 2),)),
    "gradient by x": (lambda f, x: np.gradient(f, x), (drawn(5), np.cumsum(positive(5)))),
    "gradient by x at ends": (
        lambda f, x: np.gradient(f, x, axis=1, edge_order=2),
        (drawn(2, 5), np.cumsum(positive(5))),
    ),
    "unwrap": (lambda p: np.unwrap(p), (np.array([0.1, 3.0, -3.0, 9.5, 9.0]),)),
    "unwrap degrees": (
        lambda p: np.unwrap(p, axis=0, period=360, discont=190),
        (np.array([[0.0, 10], [200, 350], [100, 5]]),),
    ),
    "cov": (np.cov, (drawn(2, 5),)),
    "cov of columns": (lambda x: np.cov(x, rowvar=False, bias=True), (drawn(5, 2),)),
    "cov of two": (lambda x, y: np.cov(x, y, ddof=0), (drawn(5), drawn(2, 5))),
    "cov of one": (np.cov, (drawn(5),)),
    "weighted cov": (lambda x: np.cov(x, fweights=COUNTS), (drawn(2, 4),)),
    "cov by weights": (lambda x, w: np.cov(x, aweights=w), (drawn(2, 4), positive(4))),
    "corrcoef": (np.corrcoef, (drawn(3, 5),)),
    "corrcoef of two": (lambda x, y: np.corrcoef(x, y), (drawn(5), drawn(5))),
    "vander": (np.vander, (drawn(3),)),
    "vander rising": (lambda x: np.vander(x, 4, increasing=True), (np.array([0.0, 1, -2]),)),
    "vander long": (lambda x: np.vander(x, 11), (positive(2),)),
    "polyder": (lambda p: np.polyder(p, 2), (drawn(5),)),
    "polyint": (lambda p: np.polyint(p, 2, k=[1.0, 3.0]), (drawn(3),)),
    "polymul": (np.polymul, (drawn(4), drawn(2))),
    "polyadd": (np.polyadd, (drawn(4), drawn(2))),
    "polysub": (np.polysub, (drawn(2), drawn(4))),
    "cross": (
        lambda a, b: np.cross(a, b, axisa=0, axisb=2, axisc=1),
        (drawn(3, 2, 2), drawn(2, 2, 3)),
    ),
    "take in turn": (lambda x: np.take(x, [5, -6, 1], mode="wrap", axis=1), (drawn(2, 4),)),
    "take the nearest": (lambda x: np.take(x, [[9, -3], [1, 0]], mode="clip"), (drawn(4),)),
    "reshape by columns": (lambda x: np.reshape(x, (4, -1), order="F"), (drawn(2, 3, 2),)),
    "ravel by columns": (lambda x: x.ravel("F") * np.arange(6), (drawn(3, 2),)),
    "flatten by columns": (lambda x: x.flatten("F") * np.arange(6), (drawn(3, 2),)),
    "pad by means": (lambda x: np.pad(x, ((1, 2), (0, 1)), mode="mean"), (drawn(3, 2),)),
    "pad by maxima": (lambda x: np.pad(x, 1, mode="maximum"), (drawn(3, 2),)),
    "pad by medians": (lambda x: np.pad(x, (2, 0), mode="median"), (drawn(5),)),
    "pad by ramps": (
        lambda x: np.pad(x, (3, 2), mode="linear_ramp", end_values=(1.0, -2.0)),
        (drawn(3),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys_and_gradients_those_of_differences(name: str) -> None:
    function, args = CASES[name]
    weights = np.random.default_rng(1).normal(size=np.shape(function(*args)))

    def total(*given: Any) -> Any:
        return np.sum(function(*given) * weights)

    value, gradients = pullback.value_and_grad(total, argnums=tuple(range(len(args))))(*args)
    assert value == pytest.approx(total(*args), rel=1e-12, abs=1e-12)
    for k, arg in enumerate(args):
        along = np.random.default_rng(2 + k).normal(size=np.shape(arg))

        def moved(step: float, k: int = k, along: Any = along) -> float:
            return float(total(*args[:k], args[k] + step * along, *args[k + 1 :]))

        step = 1e-4
        slope = (
            (8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) / 12 / step
        )
        assert np.sum(gradients[k] * along) == pytest.approx(slope, rel=1e-6, abs=1e-7)


NAMED: list[tuple[Callable[..., Any], dict[str, str]]] = [
    (lambda m: np.cov(m), {"m": "V N"}),
    (lambda m: np.corrcoef(m), {"m": "V N"}),
    (lambda f: np.gradient(f, 0.1), {"f": "N"}),
    (lambda x: np.vander(x), {"x": "N"}),
    (lambda x: np.delete(x, 1, axis=0), {"x": "N M"}),
    (lambda x: np.apply_along_axis(lambda r: r / r.sum(), 1, x), {"x": "N M"}),
    (lambda x: np.unwrap(x), {"x": "N"}),
]


@pytest.mark.parametrize(("function", "shapes"), NAMED)
def test_one_derivation_holds_at_all_sizes(
    function: Callable[..., Any], shapes: dict[str, str]
) -> None:
    assert pullback.derive(function, **shapes).verify().passed


def test_the_covariance_has_the_gradient_of_a_textbook() -> None:
    source = pullback.derive(lambda m: np.cov(m), m="V N").source()
    assert "(dY + dY.T) @ t2 / (N - 1)" in source


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.delete(x, 7),
        lambda x: np.insert(x, 9, 0.0),
        lambda x: np.gradient(x, edge_order=3),
        lambda x: np.resize(x, (-1, 2)),
        lambda x: np.pad(x, 1, mode="mean", stat_length=2),
        lambda x: np.choose(np.array([0, 5, 0]), [x, x]),
        lambda x: np.cov(x, ddof=5),
        lambda x: np.cov(x, fweights=[1.5, 1, 1]),
        lambda x: np.linspace(x[0] - 3, x[1], 4, dtype=int),
        lambda x: np.unwrap((9 * x).astype(int), period=7),
        lambda x: np.choose((x > 2) - 1, [x, 2 * x]),
    ],
)
def test_wrong_arguments_are_refused(function: Callable[..., Any]) -> None:
    with pytest.raises((PullbackError, IndexError)):
        pullback.grad(lambda x: np.sum(function(x)))(np.ones(3))


def test_a_function_of_elements_may_be_filled_in() -> None:
    """An array that was filled with a traced value takes in stores."""

    def f(x: Any) -> Any:
        y = np.full((2, 2), x[0])
        y[0, 1] = x[1] ** 2
        return y.sum()

    np.testing.assert_allclose(pullback.grad(f)(np.array([1.0, 3.0])), [3, 6])


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_where_it_does_in_numpy(name: str) -> None:
    function, args = CASES[name]
    narrow = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in args]
    wanted = np.asarray(function(*narrow))
    value = np.asarray(pullback.vjp(function, *narrow)[0])
    assert value.dtype == wanted.dtype
    np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function", [np.delete, lambda x, places: np.insert(x, places, 1.0)])
@pytest.mark.parametrize("places", [lambda x: x > 0, lambda x: (x > 0).astype(int)])
def test_places_that_depend_on_data_are_refused(function: Any, places: Any) -> None:
    with pytest.raises(pullback.TraceError, match="the places have to be known"):
        pullback.grad(lambda x: function(x, places(x)).sum())(np.array([1.0, -2.0, 3.0]))

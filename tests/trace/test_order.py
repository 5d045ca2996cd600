"""Running values, sorting, order statistics: named sizes, ties, memory, second derivatives."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import TraceError

Array = np.ndarray[Any, Any]
KNOTS = np.array([-1.0, -0.2, 0.5, 1.3])
HEIGHTS = np.array([2.0, -1.0, 0.5, 3.0])

# Functions of vectors of one length, at all lengths: each is read here as somebody writes it.
VECTORS: dict[str, Callable[..., Any]] = {
    "cumsum": lambda x: np.cumsum(x),
    "cumsum of a slice": lambda x: np.cumsum(x[1:]) - x[0],
    "cumsum from behind": lambda x: x[::-1].cumsum()[::-1],
    "cumsum behind a zero": lambda x: np.concatenate([[0.0], np.cumsum(x)])[:-1] * x,
    "cumsum twice": lambda x: np.cumsum(np.cumsum(x) ** 2),
    "cumprod": lambda x: np.cumprod(x),
    "transmittance": lambda x: np.concatenate([[1.0], np.cumprod(1 - x)[:-1]]) * x,
    "running maximum": lambda x: np.maximum.accumulate(x) - np.minimum.accumulate(x[::-1]),
    "cumsum of cumprod": lambda x: np.cumsum(np.cumprod(x)),
    "logaddexp": lambda x: np.logaddexp.accumulate(x),
    "logaddexp of all": lambda x: np.logaddexp.reduce(x),
    "sort": lambda x: np.sort(x) * np.arange(len(x)),
    "the two greatest": lambda x: np.sort(x)[-2:].sum() + x[np.argsort(-x)[:2]].prod(),
    "by another": lambda x, y: np.cumsum(x[np.argsort(y)]),
    "ranks": lambda x, y: (np.argsort(np.argsort(y)) - 1.0) * x,
    "median": lambda x: np.median(x),
    "quantile": lambda x: np.quantile(x, 0.3),
    "clipped by quantiles": lambda x: np.clip(x, *np.percentile(x, [20, 80])),
    "nanmedian": lambda x: np.nanmedian(x),
    "searchsorted": lambda x, y: np.sort(x)[np.searchsorted(np.sort(x), y, "right") - 1] * y,
    "interp": lambda x: np.interp(x, KNOTS, HEIGHTS),
    "histogram": lambda x, y: np.histogram(x, bins=KNOTS, weights=y)[0],
    "inverse of unique": lambda x, y: y[np.unique(np.round(x), return_inverse=True)[1]],
    "trapezoid": lambda x, y: np.trapezoid(x, np.sort(y)),
    "Cox": lambda x, y: np.log(np.cumsum(np.exp(x[np.argsort(y)])[::-1])).sum() - x.sum(),
}
LENGTHS = (2, 5, 8)


def arrays_for(function: Callable[..., Any], n: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    count = function.__code__.co_argcount
    return [rng.permutation(n) * 0.31 - 0.9 + 0.1 * k for k in range(count)]


def slopes(function: Callable[..., Any], arrays: list[Array], seed: Any) -> list[Array]:
    """The gradients by differences."""
    found = []
    for k, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            pair = []
            for step in (1e-6, -1e-6):
                moved = [a.copy() for a in arrays]
                moved[k][place] += step
                pair.append(float(np.sum(function(*moved) * seed)))
            gradient[place] = (pair[0] - pair[1]) / 2e-6
        found.append(gradient)
    return found


@pytest.fixture(scope="module")
def derivations() -> dict[str, Any]:
    return {}


def derived(name: str, known: dict[str, Any]) -> Any:
    if name not in known:
        function = VECTORS[name]
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        known[name] = pullback.derive(function, **dict.fromkeys(names, "N"))
    return known[name]


@pytest.mark.parametrize("name", VECTORS)
def test_one_derivation_is_right_at_all_lengths(name: str, derivations: dict[str, Any]) -> None:
    function, derivation = VECTORS[name], derived(name, derivations)
    forward, backward = derivation.compile()
    for n in LENGTHS:
        arrays = arrays_for(function, n)
        value, cache = forward(*arrays)
        expected = function(*arrays)
        np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
        seed = np.cos(np.arange(np.size(expected))).reshape(np.shape(expected))
        found = backward(np.asarray(seed), cache)
        for one, other in zip(
            found if isinstance(found, tuple) else (found,),
            slopes(function, arrays, seed),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*VECTORS][::4])
def test_every_check_of_a_derivation_passes(name: str, derivations: dict[str, Any]) -> None:
    report = derived(name, derivations).verify()
    assert report.passed, str(report)


@pytest.mark.parametrize("name", VECTORS)
def test_memory_grows_with_the_length_and_not_faster(
    name: str, derivations: dict[str, Any]
) -> None:
    source: dict[str, Any] = {}
    exec(derived(name, derivations).source(), source)
    function, n = VECTORS[name], 2000
    arrays = arrays_for(function, n)
    tables = {"interp": (KNOTS, HEIGHTS), "histogram": (KNOTS,)}.get(name, ())
    with np.errstate(all="ignore"):
        tracemalloc.start()
        value, cache = source["forward"](*arrays, *tables)
        source["backward"](np.ones_like(value), cache)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 60 * 8 * n  # an array over all pairs has 2000 * 8 * n bytes


WORDS = {
    "cumsum": ("np.cumsum(x)", "np.cumsum(dY[::-1])[::-1]"),
    "cumsum from behind": ("np.cumsum(x[::-1])[::-1]", "np.cumsum(dY)"),
    "cumprod": ("np.cumprod(x)",),
    "cumsum of cumprod": ("np.cumsum(dY[::-1])[::-1]",),
    "logaddexp": ("np.logaddexp.accumulate(x)",),
    "sort": ('np.argsort(x, kind="stable")', "dx[t1] = "),
}


@pytest.mark.parametrize("name", WORDS)
def test_the_source_says_it_in_numpys_words(name: str, derivations: dict[str, Any]) -> None:
    source = derived(name, derivations).source()
    for word in WORDS[name]:
        assert word in source
    assert "np.add.at" not in source


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (np.cumsum(x) ** 3).sum(),
        lambda x: (np.cumprod(x * np.array([1.0, 0.0, 1.0, 1.0, 1.0])) ** 2).sum(),
        lambda x: (np.maximum.accumulate(x) ** 3).sum(),
        lambda x: (np.logaddexp.accumulate(x) ** 2).sum(),
        lambda x: np.logaddexp.reduce(x) ** 2,
        lambda x: (np.sort(x) ** 3 * np.arange(5)).sum(),
        lambda x: np.quantile(x, 0.3) ** 3,
        lambda x: (np.interp([-0.8, 0.1, 0.6], [-1.0, 0.0, 1.0], x[:3]) ** 2).sum(),
        lambda x: (np.bincount([0, 1, 1, 2, 0], weights=x) ** 3).sum(),
        lambda x: (np.add.reduceat(x, [0, 2]) ** 3).sum(),
    ],
)
def test_second_derivatives_and_pushforwards(function: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(4)
    x, v = rng.permutation(5) * 0.4 - 0.9, rng.normal(size=5)
    gradient = pullback.grad(function)
    (expected,) = slopes(function, [x], 1.0)
    np.testing.assert_allclose(gradient(x), expected, rtol=1e-6, atol=1e-6)
    twice = pullback.grad(lambda y: (gradient(y) * v).sum())(x)
    expected = (gradient(x + 1e-5 * v) - gradient(x - 1e-5 * v)) / 2e-5
    np.testing.assert_allclose(twice, expected, rtol=1e-5, atol=1e-5)
    _, moved = pullback.jvp(function, (x,), (v,))
    assert np.isclose(moved, gradient(x) @ v)


TIES = (
    (lambda x: np.sort(x) @ np.arange(5), [2.0, 1.0, 2.0, 1.0, 2.0], [2, 0, 3, 1, 4]),
    (lambda x: np.median(x), [1.0, 3.0, 1.0, 1.0, 0.0], [0, 0, 1, 0, 0]),
    (lambda x: np.median(x), [1.0, 2.0, 2.0, 9.0], [0, 0.5, 0.5, 0]),
    (lambda x: np.maximum.accumulate(x).sum(), [0.0, 1.0, 1.0, 0.0], [1, 3, 0, 0]),
    (lambda x: np.minimum.accumulate(x).sum(), [0.0, 0.0, 1.0], [3, 0, 0]),
    (lambda x: np.interp(x, KNOTS, HEIGHTS).sum(), [-1.0, 0.5, 1.3], [-3.75, 3.125, 0]),
    (lambda x: np.cumprod(x).sum(), [2.0, 0.0, 3.0, 0.0, 4.0], [1, 8, 0, 0, 0]),
)


@pytest.mark.parametrize(("function", "point", "expected"), TIES)
def test_what_is_taken_at_ties_knots_and_zeros(
    function: Callable[[Any], Any], point: list[float], expected: list[float]
) -> None:
    np.testing.assert_allclose(pullback.grad(function)(np.array(point)), expected)


def test_a_tie_is_a_kink_and_not_compared() -> None:
    def weighted(x: Any) -> Any:
        return np.sort(x) * np.array([1.0, -2.0, 3.0])

    def backward(dY: Any, x: Any) -> Any:
        dX = np.zeros(3)
        dX[np.argsort(x[::-1], kind="stable")[::-1]] = dY[::-1] * [3.0, -2.0, 1.0]
        return dX[::-1]

    assert pullback.check_backward(weighted, backward, np.array([3.0, 1.0, 2.0])).passed
    tied = pullback.check_backward(weighted, backward, np.ones(3))
    assert tied.status != "failed" and "at kinks differ" in str(tied)
    report = pullback.check_grads(lambda x: weighted(x).sum(), (np.array([1.0, 1.0, 2.0]),))
    assert report.passed and report.unchecked


@pytest.mark.parametrize(
    "function", [np.sort, np.median, np.cumsum, np.maximum.accumulate, np.logaddexp.accumulate]
)
def test_nan_and_infinities_are_numpys(function: Callable[[Any], Any]) -> None:
    for point in ([1.0, np.nan, 0.0, np.inf, -1.0], [np.inf, -np.inf, 2.0], [np.nan], [np.inf] * 3):
        x = np.array(point)
        with np.errstate(all="ignore"):
            value, _ = pullback.vjp(function, x)
            np.testing.assert_array_equal(value, function(x))


def test_in_index_notation_places_have_no_sign_to_ask_for() -> None:
    derivation = pullback.derive("p[i] = argsort(x)[i]; y[i] = x[p[i]]; L = sum(i) w[i]*y[i]")
    assert derivation.formula("x").splitlines()[-1] == "dx[i:I] = dL*sum(i2) w[i2]*[p[i2] = i]"
    assert derivation.verify().passed


def test_what_loops_over_windows_stays_inside_of_a_recurrence() -> None:
    def weighted(x: Any) -> Any:
        running = np.flip(np.cumsum(np.flip(np.cumprod(x, 1), 1), 1), 1)
        return np.histogram(running, KNOTS, weights=running**2)[0].sum()

    x = np.random.default_rng(5).uniform(-0.9, 0.9, (2, 2, 3))
    (expected,) = slopes(weighted, [x], 1.0)
    np.testing.assert_allclose(pullback.grad(weighted)(x), expected, atol=1e-6)


def test_a_whole_loop_of_a_running_value_is_one_call() -> None:
    def by_hand(x: Any) -> Any:
        y = [x[0]]
        for t in range(1, len(x)):
            y.append(np.logaddexp(y[-1], x[t]))
        return np.stack(y)

    x = np.linspace(-1, 1, 30)
    np.testing.assert_allclose(by_hand(x), np.logaddexp.accumulate(x))
    one = pullback.grad(lambda x: (by_hand(x) ** 2).sum())(x)
    other = pullback.grad(lambda x: (np.logaddexp.accumulate(x) ** 2).sum())(x)
    np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("shape", [(1,), (40,), (300,), (70, 3)])
def test_equal_elements_stand_where_numpys_own_argsort_leaves_them(shape: tuple[int, ...]) -> None:
    """NumPy's default sorting isn't stable: the source calls the same sorting."""

    def ranked(x: Any, w: Any) -> Any:
        return np.take_along_axis(w, np.argsort(-x, axis=0), axis=0)

    rng = np.random.default_rng(len(shape))
    x, w = rng.integers(0, 4, shape).astype(float), rng.normal(size=shape)
    names = "N M"[: 2 * len(shape) - 1]
    value, _ = pullback.derive(ranked, x=names, w=names).compile().forward(x, w)
    np.testing.assert_array_equal(value, ranked(x, w))


@pytest.mark.parametrize(
    "function",
    [lambda x: x[np.argsort(x > 0)], lambda x: x[np.argsort(x, kind="heapsort")]],
    ids=["booleans", "heapsort"],
)
def test_orders_that_the_source_could_not_repeat_are_refused(function: Any) -> None:
    with pytest.raises(TraceError, match="can't be traced") as caught:
        pullback.derive(function, x="N")
    assert "stable" in str(caught.value)

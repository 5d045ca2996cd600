"""What a traced mask selects: NumPy is the oracle of values, differences that of gradients. No
warning is given where NumPy gives none, and what isn't selected has no gradient at all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback

Code = Callable[..., Any]
x = np.array([0.9, -1.3, 2.1, -0.4, 0.3, -2.0, 1.4])
y = np.array([0.2, 1.1, -0.7, 0.6, -1.5, 0.8, -0.1])
X = np.array([[0.4, -1.2, 0.7], [-0.9, 0.3, 1.1], [1.6, 0.5, -0.8], [0.1, -0.6, -1.4]])


def check(function: Code, *args: Any, rel: float = 1e-6) -> None:
    """The value and the gradients, without a warning."""
    wrt = tuple(range(len(args)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradients = pullback.value_and_grad(function, argnums=wrt)(*args)
        assert value == pytest.approx(function(*args), rel=1e-13)
    for k, gradient in enumerate(gradients):
        for place in np.ndindex(args[k].shape):
            step = np.zeros(args[k].shape)
            step[place] = 1e-6
            up, down = (
                function(*(a + h * step if j == k else a for j, a in enumerate(args)))
                for h in (1, -1)
            )
            assert gradient[place] == pytest.approx((up - down) / 2e-6, rel=rel, abs=1e-6)


def huber(r: Any) -> Any:
    near = np.abs(r) <= 1
    return 0.5 * (r[near] ** 2).sum() + (np.abs(r[~near]) - 0.5).sum()


def stored(x: Any) -> Any:
    z = x.copy()
    m = z > 0
    z[m] = z[m] ** 3
    z[~m] *= 2
    z[z > 5] = 0
    return (z * np.arange(7)).sum()


def likelihood(x: Any) -> Any:
    m = x > 0
    return (np.log(x[m]) / np.sqrt(x[m])).sum()


def within(x: Any) -> Any:
    part = x[x > 0]
    return (part[part < 1] ** 2).sum()


def shared(x: Any) -> Any:
    z = x.copy()
    v = z[z > 0]
    w = v
    v *= 2
    v[v > 2] = 1
    z[0] = 100
    return v.sum() + w.sum() + z.sum()


def renamed(x: Any) -> Any:
    m = x > 0
    v = x[m]
    m[0] = False
    return v.sum() + 3 * x[m].sum()


def centred(X: Any) -> Any:
    rows = X[X[:, 0] > -0.5]
    return ((rows - rows.mean(0, keepdims=True)) ** 2).sum()


def filled(X: Any) -> Any:
    Z = X.copy()
    Z[X[:, 0] > 0, 1] = 5.0
    Z[:, X[0] > 0] *= 3
    return (Z**2).sum()


def where_it_holds(x: Any) -> Any:
    v = x[x > 0]
    w = np.sqrt(v, out=np.zeros_like(v), where=v > 1)
    np.multiply(v, v, out=v, where=v < 1)
    return (v + w).sum()


def nested(x: Any) -> Any:
    v = x[x > 0]
    v[v > 1] *= v[v > 1]
    z = x.copy()
    z[x > 0] = v
    return (z**2).sum()


def rescaled(X: Any) -> Any:
    v = X[X[:, 0] > 0]
    large = np.abs(v).sum(1) > 2
    v[large] *= 2
    v[v < 0] = 0
    return (v**2).sum()


def columns(X: Any) -> Any:
    Z, m = X.copy(), X[0] > 0
    Z[:, m] = X[1][m]
    return (Z**2).sum() + (X[:, m] * X[2][m] ** 2).sum()


VECTORS: list[Code] = [
    lambda x: x[x > 0].sum(),
    lambda x: x[x > 0].mean(),
    lambda x: x[x > -5].max() * x[x < 0].min(),
    lambda x: x[x > -1].std() + x[x > -1].var(ddof=1),
    lambda x: x[x > 0].prod() + np.ptp(x[x < 0]),
    lambda x: np.median(x[x > -0.5]) + np.quantile(x[x > -0.5], 0.3),
    lambda x: np.linalg.norm(x[x > 0]) + np.linalg.norm(x[x < 0], 1),
    lambda x: np.linalg.norm(x[x < 0], np.inf),
    lambda x: x[x > 0].sum() / x[x > 0].size + x[x > 0].sum() / x[x > 0].shape[0],
    huber,
    stored,
    likelihood,
    within,
    where_it_holds,
    nested,
    shared,
    renamed,
    lambda x: (x[np.nonzero(x > 0)] ** 2).sum() + (x[np.flatnonzero(x > 0)] ** 2).sum(),
    lambda x: (x[np.where(x > 0)[0]] ** 2).sum() + np.compress(x > 0, x).sum(),
    lambda x: (np.flatnonzero(x > 0) * x[x > 0]).sum(),
    lambda x: np.where(x[x > 0] > 0.5, x[x > 0] ** 2, x[x > 0]).sum(),
    lambda x: np.clip(x[x > 0], 0.2, 0.8).sum() + x[x > 0].clip(0.2, 0.8).sum(),
    lambda x: np.add.reduce(x[x > 0]) + np.any(x[x > 0] > 1) * x[0],
    lambda x: (x[x > 0][:, None] * np.arange(3.0)).sum(),
    lambda x: (np.ones_like(x[x > 0]) * x[x > 0]).sum() + x[x > 0].astype(float).sum(),
    lambda x: np.average(x[x > 0], weights=np.exp(x[x > 0])),
    lambda x: np.dot(x[x > 0], x[x > 0]) + x[~(x > 0)] @ x[~(x > 0)],
    lambda x: np.count_nonzero(x[x > 0] > 1) * x[2] + np.all(x[x > 0] > 0) * x[1],
    lambda x: (x[x > 0] * np.cos(x)[:, None]).std() + (x[:2, None] ** 2 + x[x < 0]).max(1).sum(),
    lambda x: np.compress((x > 0).astype(int), x).sum() * np.compress([1, 0, 1], x).sum(),
    lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: v**2, np.sqrt]).sum(),
]
MATRICES: list[Code] = [
    lambda X: (X[X[:, 0] > -0.5].sum(0) ** 2).sum(),
    lambda X: (X[X[:, 0] > -0.5].mean(axis=0) * np.arange(3)).sum(),
    lambda X: (X[X[:, 0] > -0.5] @ np.arange(3.0) ** 2).sum(),
    lambda X: (X[X[:, 0] > -0.5].T @ X[X[:, 0] > -0.5] * np.arange(9.0).reshape(3, 3)).sum(),
    lambda X: (X[X > 0] ** 2).sum() + np.extract(X > 0, X).sum() + (X[np.where(X > 0)] ** 2).sum(),
    lambda X: (X[:, X[0] > 0] ** 2).sum(axis=1) @ np.arange(4.0),
    lambda X: (X[X[:, 0] > 0, 1] ** 2).sum() + np.exp(X[X[:, 0] > 0][:, 1]).sum(),
    lambda X: (X[X[:, 0] > -0.5].max(axis=1) ** 2).sum(),
    lambda X: ((X[X[:, 0] > -0.5] - X.mean(0)) ** 2).sum(),
    lambda X: (X[X[:, 0] > -0.5].T * np.arange(3.0)[:, None]).sum(),
    lambda X: np.linalg.norm(X[X[:, 0] > 0], axis=1).mean() + np.linalg.norm(X[X > 0]),
    lambda X: (X[X[:, 0] > 0] / np.linalg.norm(X[X[:, 0] > 0], 1, axis=1, keepdims=True)).std(),
    lambda X: np.linalg.norm(X[X[:, 0] > 0], axis=0) @ np.arange(3.0),
    lambda X: (np.quantile(X[X[:, 0] > -0.5], [0.25, 0.8], axis=1) ** 2).mean(),
    lambda X: (X[:, X[0] > 0] - np.median(X[:, X[0] > 0], axis=0, keepdims=True)).std(),
    lambda X: (X[X[:, 0] > 0].T * X[:, 1][X[:, 0] > 0]).std(),
    lambda X: (X[X[:, 0] > 0] @ np.exp(X[None, :3])).std(),
    lambda X: (np.average(X[X[:, 0] > 0], axis=0, weights=X[:, 1][X[:, 0] > 0]) ** 2).sum(),
    lambda X: np.average(X[X[:, 0] > 0], axis=1, weights=[1.0, 2.0, 5.0]).std(),
    centred,
    filled,
    rescaled,
    columns,
]


@pytest.mark.parametrize("k", range(len(VECTORS)))
def test_selections_of_vectors(k: int) -> None:
    check(VECTORS[k], x)


@pytest.mark.parametrize("k", range(len(MATRICES)))
def test_selections_of_matrices(k: int) -> None:
    check(MATRICES[k], X)


def changed_places(x: Any) -> Any:
    places = np.flatnonzero(x > 0)
    places -= 1
    return x[places].sum()


def changed_view(X: Any) -> Any:
    v = X[X[:, 0] > 0]
    first = v[:, 0]
    first += 1
    return v.sum()


def changed_behind_a_view(X: Any) -> Any:
    v = X[X[:, 0] > 0]
    turned = v.T
    v *= 2
    return turned.sum()


def changed_by_another(x: Any) -> Any:
    v = x[x < 0]
    np.multiply(x[x > 0], 2, out=v)
    return v.sum()


def changed_dtype(x: Any) -> Any:
    v = np.rint(x).astype(int)[x > 0]
    v *= 2.5
    return v.sum()


@pytest.mark.parametrize("k", range(7))
def test_selections_that_are_changed_are_not_taken_for_what_they_were(k: int) -> None:
    code, given, message = [
        (changed_places, x, "indexing by other numbers"),
        (changed_view, X, "a view of what a traced mask selects"),
        (changed_behind_a_view, X, "a view of what a traced mask selects"),
        (changed_by_another, x, "the selections of different masks meet"),
        (lambda x: (x[x > 0][:, None] * x[x > 0]).sum(), x, "broadcasting along the mask's axis"),
        (lambda x: np.average(x[x > 0], returned=True)[0], x, "np.average with these arguments"),
        (changed_dtype, x, "can't put float64 into an array of int64"),
    ][k]
    with pytest.raises(pullback.TraceError, match=message):
        pullback.grad(code)(given)


def test_what_is_not_finite_and_not_selected_meets_no_product() -> None:
    def fitted(A: Any, w: Any) -> Any:
        kept = np.isfinite(A).all(axis=1)
        return (np.tanh(A[kept] @ w) ** 2).sum()

    A, w = X.copy(), np.array([0.3, -0.2, 0.5])
    A[1, 2], A[2] = np.nan, np.inf
    dA, dw = pullback.grad(fitted, argnums=(0, 1))(A, w)
    expected = pullback.grad(fitted, argnums=(0, 1))(X[[0, 3]], w)
    np.testing.assert_allclose(dA[[0, 3]], expected[0])
    np.testing.assert_allclose(dw, expected[1])
    assert not dA[[1, 2]].any()


def test_what_is_not_finite_and_not_selected_has_no_gradient() -> None:
    given = np.array([0.5, np.nan, -2.0, np.inf, 1.5])
    codes: list[Code] = [
        lambda x: (x[np.isfinite(x)] ** 2).sum(),
        lambda x: (x[~np.isnan(x) & (x < 3)] ** 3).sum(),
        lambda x: ((x[np.isfinite(x)] - x[np.isfinite(x)].mean()) ** 2).sum(),
        lambda x: np.nanvar(np.where(np.isinf(x), np.nan, x)),
    ]
    for code in codes:
        gradient = pullback.grad(code)(given)
        np.testing.assert_allclose(gradient[[0, 2, 4]], pullback.grad(code)(given[[0, 2, 4]]))
        assert not gradient[[1, 3]].any()


def test_a_name_for_a_masked_value_keeps_the_mask_of_its_neighbours() -> None:
    """``dt3*x``, where ``dt3`` is 0 and ``x`` is missing."""

    def run(x: Any, y: Any, m: Any) -> Any:
        v, w = x[m], y[m]
        for _ in range(3):
            v, w = np.sqrt(np.abs(np.sin(v) * w) + 0.1), v * w
        return v.sum() + np.dot(v, w)

    mask = np.array([True, False, True])
    with np.errstate(all="ignore"):
        found = pullback.grad(run, (0, 1))(np.array([1, np.nan, 2]), np.array([3, np.inf, 1]), mask)
    wanted = pullback.grad(run, (0, 1))(np.array([1.0, 2]), np.array([3.0, 1]), mask[[0, 2]])
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, [other[0], 0, other[1]], rtol=1e-13)


def test_missing_values_have_no_part_in_a_tangent() -> None:
    def run(x: Any, y: Any, m: Any) -> Any:
        v, w = x[m], y[m]
        return (v * w * np.sin(v)).sum() + np.dot(v, w)

    mask = np.array([True, False, True])
    x, y = np.array([1, np.nan, 2]), np.array([3, np.inf, 1])
    with np.errstate(all="ignore"):
        _, found = pullback.jvp(lambda x, y: run(x, y, mask), (x, y), (np.ones(3), np.ones(3)))
    kept, there = np.array([0, 2]), np.ones(2, bool)
    ones = np.ones(2)
    _, wanted = pullback.jvp(lambda x, y: run(x, y, there), (x[kept], y[kept]), (ones, ones))
    assert found == pytest.approx(wanted, rel=1e-13)


def test_a_selected_nan_is_the_median() -> None:
    def middle(x: Any) -> Any:
        return np.median(x[~(x < 0)]) + np.quantile(x[~(x < 0)], 0.3)

    assert np.isnan(pullback.value_and_grad(middle)(np.array([1.0, np.nan, -2.0, 3.0]))[0])


def test_selections_of_several_arrays() -> None:
    check(lambda x, y: np.dot(x[x > 0], y[x > 0]), x, y)
    check(lambda x, y: (x[y > 0] * np.exp(y[y > 0])).sum(), x, y)
    check(lambda x, y: ((X[X[:, 0] > 0] @ y[:3]) * x[0]).sum(), x, y)


@pytest.mark.parametrize(
    ("function", "point", "expected"),
    [
        (lambda x: np.log(x[x > 0]).sum(), [0.0, -1.0, 2.0], [0, 0, 0.5]),
        (lambda x: (1 / x[x != 0]).sum(), [0.0, 2.0], [0, -0.25]),
        (lambda x: np.exp(x[x < 500]).sum(), [0.0, 1000.0], [1, 0]),
        (lambda x: (x[~np.isnan(x)] ** 2).sum(), [3.0, np.nan], [6, 0]),
        (lambda x: np.sqrt(x[x > 0]).sum(), [0.0, 4.0, -np.inf], [0, 0.25, 0]),
        (lambda x: (np.arccos(x[np.abs(x) < 1]) ** 2).sum(), [1.0, -1.0, 7.0], [0, 0, 0]),
        (lambda x: (x[x < np.inf] ** 3).sum(), [np.inf, 1e150, 1.0], [0, 3e300, 3]),
        (lambda x: np.log(x[x > 5]).sum(), [0.0, -1.0], [0, 0]),
        (lambda x: x[x > 5].max(), [0.0, -1.0], [0, 0]),
    ],
)
def test_what_is_not_selected_has_no_gradient(
    function: Code, point: list[float], expected: list[float]
) -> None:
    with np.errstate(over="ignore"):
        gradient = pullback.grad(function)(np.array(point))
    np.testing.assert_allclose(gradient, expected, rtol=1e-15, atol=0)


def test_derivatives_inside_derivatives() -> None:
    def inner(x: Any) -> Any:  # selected by a mask of the function outside
        return (pullback.grad(lambda y: (y[x > 0] ** 3).sum())(x) * x).sum()

    np.testing.assert_allclose(pullback.grad(inner)(x), np.where(x > 0, 9 * x**2, 0))


def test_a_ufunc_where_a_mask_holds() -> None:
    def logarithms(x: Any) -> Any:
        y = np.log(x, where=x > 0, out=np.zeros_like(x))
        return (y * np.divide(1, x, where=x > 0, out=np.ones_like(x))).sum()

    check(logarithms, np.array([0.5, -1.0, 2.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gradient = pullback.grad(logarithms)(np.array([0.0, -1.0, 1.0]))
    np.testing.assert_array_equal(gradient, [0, 0, 1])


def test_nothing_selected() -> None:
    """Sums, products and means are NumPy's; an extremum is what no element changes."""
    none = np.array([-1.0, -2.0])
    for function in (np.sum, np.prod, lambda v: v.mean(), np.median):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = pullback.value_and_grad(lambda x, f=function: f(x[x > 0]))(none)[0]
            np.testing.assert_equal(value, function(none[none > 0]))
    assert pullback.value_and_grad(lambda x: x[x > 0].max())(none)[0] == -np.inf
    assert pullback.value_and_grad(lambda x: x[x > 0].min())(none)[0] == np.inf


def test_second_derivatives_and_tangents() -> None:
    check(lambda x: (pullback.grad(likelihood)(x) * np.arange(7)).sum(), x, rel=1e-5)
    _, tangent = pullback.jvp(likelihood, (x,), (y,))
    assert tangent == pytest.approx(np.sum(pullback.grad(likelihood)(x) * y))


def test_named_sizes_and_float32() -> None:
    derived = pullback.derive(huber, r="N")
    assert derived.formula("r").count("\n") == 0
    source = pullback.derive(lambda x: x[x > 0].sum(), x="N").source()
    assert "np.where(x > 0, x, 0).sum()" in source and "dx = dL * (x > 0)" in source
    assert pullback.grad(huber)(x.astype(np.float32)).dtype == np.float32


def test_a_bool_argument_selects() -> None:
    def f(x: Any, m: Any) -> Any:
        return (x[m] ** 2).sum()

    mask = np.arange(7) % 2 == 0
    np.testing.assert_allclose(pullback.grad(f)(x, mask), np.where(mask, 2 * x, 0))
    np.testing.assert_allclose(pullback.grad(f)(x, ~mask), np.where(mask, 0, 2 * x))


REFUSED: list[tuple[Code, str]] = [
    (lambda x: x[x > 0], "returning"),
    (lambda x: np.sort(x[x > 0]), "np.sort of what a traced mask selects"),
    (lambda x: x[x > 0][0], "indexing what a traced mask selects"),
    (lambda x: x[x > 0] + x[x > 1], "the selections of different masks meet"),
    (lambda x: x[x > 0] * x, "np.multiply with an array of another length"),
    (lambda x: x[x > 0].sum() / len(x[x > 0]), "np.count_nonzero(mask)"),
    (lambda x: sum(x[x > 0]), "iterating over what a traced mask selects"),
    (lambda x: np.concatenate([x[x > 0], x]), "np.concatenate of"),
    (lambda x: x[np.flatnonzero(x > 0) + 1], "index by the mask"),
    (lambda x: np.cumsum(x[x > 0])[-1], "np.cumsum of"),
    (lambda x: x[x > 0].reshape(2, -1), ".reshape of what"),
    (lambda x: np.zeros(x[x > 0].shape[0]), "needs a traced array's values"),
    (lambda x: x[(x > 0)[1:]].sum(), "a boolean index has another shape"),
    (lambda x: np.argwhere(x > 0), "np.argwhere"),
    (lambda x: np.log(x, where=x > 0), "out=np.zeros_like(x)"),
]


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_what_is_refused(k: int) -> None:
    function, message = REFUSED[k]
    with pytest.raises(pullback.PullbackError) as caught:
        pullback.vjp(function, x)
    assert message in str(caught.value)


# Random programs ----------------------------------------------------------------------------------

STEPS: list[Code] = [
    lambda v, w, rng: v * rng.normal() + w,
    lambda v, w, rng: np.sin(v) * w,
    lambda v, w, rng: np.log(np.abs(v) + 0.5),
    lambda v, w, rng: np.maximum(v, w),
    lambda v, w, rng: v / (1 + w**2),
    lambda v, w, rng: np.where(v > w, v, w * 2),
    lambda v, w, rng: v - v.mean(),
    lambda v, w, rng: v / np.exp(v).sum(),
    lambda v, w, rng: np.sqrt(np.abs(v * w) + 0.1),
]
ENDS: list[Code] = [
    lambda v, w: v.sum() + np.dot(v, w),
    lambda v, w: v.mean() * w.max(),
    lambda v, w: np.var(v) + np.prod(np.tanh(w)),
    lambda v, w: np.linalg.norm(v) + w.min(),
]


def program(seed: int) -> Code:
    """A random program of selections, steps on them, stores and reductions."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(STEPS), size=3)
    level, store, end = rng.normal(), rng.integers(3), int(rng.integers(len(ENDS)))

    def run(x: Any, y: Any) -> Any:
        inner = np.random.default_rng(seed)
        z = x * 1
        m = (x > level) if seed % 2 else (x + y > level)
        v, w = z[m], y[m]
        for pick in picks:
            v, w = STEPS[pick](v, w, inner), v
        if store == 1:
            z[m] = v
        elif store == 2:
            z[~m] += 2
            z[m] *= w
        return ENDS[end](v, w) + (z * y).sum()

    return run


@pytest.mark.parametrize("seed", range(10))
def test_random_programs(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    a, b = rng.normal(size=(2, 9))
    function = program(seed)
    a[0], b[0] = 3.0, 0.5  # selected by each of them
    value, gradients = pullback.value_and_grad(function, argnums=(0, 1))(a, b)
    assert value == pytest.approx(function(a, b), rel=1e-12)
    for _ in range(2):
        du, dv = rng.normal(size=(2, 9))
        up, down = function(a + 1e-6 * du, b + 1e-6 * dv), function(a - 1e-6 * du, b - 1e-6 * dv)
        slope = np.sum(gradients[0] * du) + np.sum(gradients[1] * dv)
        assert slope == pytest.approx((up - down) / 2e-6, rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("seed", range(24))
def test_missing_values_that_are_not_selected_have_no_gradient(seed: int) -> None:
    """The mask is an argument, or a comparison, which NaN fails."""
    rng = np.random.default_rng(300 + seed)
    steps = [STEPS[k] for k in rng.integers(len(STEPS), size=3)]
    end, given = ENDS[int(rng.integers(len(ENDS)))], seed % 2

    def run(x: Any, y: Any, m: Any) -> Any:
        inner = np.random.default_rng(seed)
        chosen = m if given else (x > -9)
        v, w = x[chosen], y[chosen]
        for step in steps:
            v, w = step(v, w, inner), v
        return end(v, w)

    a, b = rng.normal(size=(2, 9))
    mask = rng.random(9) < 0.6
    mask[:2] = True, False
    hole = np.inf if given and seed // 2 % 2 else np.nan
    missing = [np.where(mask, c, hole) for c in (a, b)]
    with np.errstate(all="ignore"):
        value, found = pullback.value_and_grad(run, argnums=(0, 1))(*missing, mask)
    there = np.ones(mask.sum(), bool)
    expected, wanted = pullback.value_and_grad(run, argnums=(0, 1))(a[mask], b[mask], there)
    assert value == pytest.approx(expected, rel=1e-13)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one[mask], other, rtol=1e-12, atol=1e-13)
        assert not one[~mask].any()

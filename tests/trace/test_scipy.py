"""SciPy's special functions and distributions in traced functions: SciPy itself is the oracle of
values, its differences, or mpmath's, of derivatives."""

from __future__ import annotations

import functools
import itertools
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import pullback
from pullback.errors import DerivationError, TraceError
from pullback.functions import MADE, ROWS, Function
from pullback.ir.special import NAMES
from pullback.trace.scipys import _functions, _stats
from pullback.trace.table_stats import DISTRIBUTIONS, METHODS
from pullback.verify.decimals import DECIMALS

from .checking import compare

MP = DECIMALS.context
Code = Callable[..., Any]


def slopes(function: Code, x: Any, step: float = 1e-5) -> Any:
    """Differences of a number, for each element."""
    x = np.asarray(x, float)
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return found


def close(found: Any, expected: Any, rel: float = 1e-6) -> None:
    scale = float(np.max(np.abs(expected), initial=1e-3))
    np.testing.assert_allclose(found, expected, rtol=rel, atol=rel * scale)


def check(function: Code, *args: Any, by: tuple[int, ...] = (0,), twice: bool = False) -> None:
    """The value and the gradient; the second derivative along a direction, if wanted."""

    def total(*xs: Any) -> Any:
        given = dict(zip(by, xs, strict=True))
        return np.sum(np.cos(function(*(given.get(k, arg) for k, arg in enumerate(args)))))

    xs = [np.asarray(args[k], float) for k in by]
    value, gradient = pullback.value_and_grad(total, argnums=tuple(range(len(by))))(*xs)
    assert value == pytest.approx(total(*xs), rel=1e-12, abs=1e-12)
    for k, found in enumerate(gradient):
        close(found, slopes(lambda x, k=k: total(*xs[:k], x, *xs[k + 1 :]), xs[k]))
    if twice:
        first, v = pullback.grad(total), np.random.default_rng(0).normal(size=xs[0].shape)
        second = pullback.grad(lambda x: (first(x, *xs[1:]) * v).sum())(xs[0])
        close(second, slopes(lambda x: (first(x, *xs[1:]) * v).sum(), xs[0]), 1e-5)


# --------------------------------------------------------------------------------------------------
# Functions of one element


SPECIAL = [row for row in ROWS if row.name in NAMES]


def arguments(row: Function, dtype: Any = float) -> list[Any]:
    rng = np.random.default_rng(1)
    at = [rng.uniform(low, high, 2).astype(dtype) for low, high in row.domain]
    return [np.full(2, 2), *at[1:]] if row.counted else at


def everything(xs: dict[str, Any]) -> Any:
    """The sum of all functions, each by each of its arguments."""
    total = 0.0
    for row in SPECIAL:
        function = getattr(scipy.special, row.name)
        for k in range(row.parameters, row.arity):
            at = arguments(row)
            total = total + function(*at[:k], xs[f"{row.name} {k}"], *at[k + 1 :]).sum()
    return total


def test_scalar_functions_are_traced_and_differentiated_twice() -> None:
    xs = {
        f"{row.name} {k}": arguments(row)[k]
        for row in SPECIAL
        for k in range(row.parameters, row.arity)
    }
    first = pullback.grad(everything)
    second = pullback.grad(lambda xs: sum(slope.sum() for slope in first(xs).values()))
    slopes, curves = first(xs), second(xs)
    step = MP.mpf(10) ** -12
    for row in SPECIAL:
        at = arguments(row)
        for k, place in itertools.product(range(row.parameters, row.arity), range(2)):
            point = [MP.mpf(float(own[place])) for own in at]
            moved = [[x + s * step * (n == k) for n, x in enumerate(point)] for s in (-1, 0, 1)]
            below, here, above = (DECIMALS.apply(row.name, one) for one in moved)
            slope, curve = (above - below) / (2 * step), (above - 2 * here + below) / step**2
            name = f"{row.name} {k}"
            assert slopes[name][place] == pytest.approx(float(slope), rel=1e-11, abs=1e-11), name
            assert curves[name][place] == pytest.approx(float(curve), rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize("name", [*MADE, "digamma", "psi"])
def test_a_function_that_is_made_of_others_is_scipys(name: str) -> None:
    function = getattr(scipy.special, name)
    rng = np.random.default_rng(2)
    args = [rng.uniform(0.1, 0.9, 5) for _ in range(function.nin)]
    if name in ("jn", "yn", "kn", "jv", "yv", "iv", "kv", "ive", "kve"):
        for order in (-1, 0, 1, 2):
            check(lambda x, n=order: function(n, x), args[1] + 1)
    else:
        check(function, *args, by=tuple(range(function.nin)))


def test_by_some_arguments_no_derivative_can_be_written() -> None:
    for function, message in (
        (lambda a: scipy.special.gammainc(a, 2.0), "gammainc by its first argument"),
        (lambda a: scipy.special.betainc(2.0, a, 0.5), "betainc by its second argument"),
        (lambda v: scipy.special.jv(v, 2.0), "jv by its order"),
        (lambda a: scipy.stats.gamma.cdf(1.5, a), "gammainc by its first argument"),
    ):
        with pytest.raises(DerivationError, match=message):
            pullback.grad(function)(1.5)


# The derivative at arguments where a careless formula has no digit left: mpmath, 50 digits.
FAR: list[tuple[Code, str, float]] = [
    (scipy.special.erfc, "erfc", 26.0),
    (scipy.special.log_ndtr, "log_ndtr", -1e3),
    (scipy.special.log_ndtr, "log_ndtr", -37.5),
    (scipy.special.log_ndtr, "log_ndtr", 10.0),
    (scipy.special.gammaln, "gammaln", 1e-300),
    (scipy.special.gammaln, "gammaln", 1e10),
    (scipy.special.gammaln, "gammaln", -0.5),
    (scipy.special.digamma, "digamma", 1e10),
    (scipy.special.digamma, "digamma", 1e-8),
    (scipy.special.ndtri, "ndtri", 1e-200),
    (scipy.special.erfcinv, "erfcinv", 1e-200),
    (scipy.special.j1, "j1", 1e-9),
    (scipy.special.j0, "j0", 1e-9),
    (scipy.special.i1e, "i1e", 100.0),
    (scipy.special.expit, "sigmoid", -700.0),
]


@pytest.mark.parametrize(("function", "name", "at"), FAR, ids=[f"{n}-{x:g}" for _, n, x in FAR])
def test_derivatives_far_out(function: Code, name: str, at: float) -> None:
    with MP.workdps(120):
        x = MP.mpf(at)
        step = abs(x) * MP.mpf(10) ** -30
        rise = DECIMALS.apply(name, [x + step]) - DECIMALS.apply(name, [x - step])
        expected = float(rise / (2 * step))
    assert pullback.grad(function)(at) == pytest.approx(expected, rel=1e-12)


def test_single_precision_stays() -> None:
    def last(xs: dict[str, Any]) -> Any:
        return sum(
            getattr(scipy.special, row.name)(*numbers[row.name], xs[row.name]).sum()
            for row in SPECIAL
        )

    xs = {row.name: arguments(row, np.float32)[-1] for row in SPECIAL}
    numbers = {row.name: [float(x[0]) for x in arguments(row)[:-1]] for row in SPECIAL}
    numbers["polygamma"] = [2]
    found = pullback.grad(last)(xs)
    wide = pullback.grad(last)({name: x.astype(float) for name, x in xs.items()})
    for name in xs:
        assert found[name].dtype == np.float32, name
        np.testing.assert_allclose(found[name], wide[name], rtol=2e-5, atol=1e-5)


# --------------------------------------------------------------------------------------------------
# Functions of arrays


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp(axis: Any, keepdims: bool) -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(3, 4)), rng.uniform(0.2, 2, (3, 4))
    check(lambda a: logsumexp(a, axis=axis, keepdims=keepdims), a, twice=axis == 0)
    check(lambda a, b: logsumexp(a, axis, b, keepdims), a, b, by=(0, 1))


def test_logsumexp_at_its_edges() -> None:
    inf = math.inf
    for a in ([1e4, 0.0], [-1e4, -1e4], [-inf, 1.0], [-inf, -inf], [inf, 1.0], [math.nan, 1.0]):
        value, _ = pullback.vjp(logsumexp, np.array(a))
        np.testing.assert_array_equal(value, scipy.special.logsumexp(a))
    assert pullback.grad(logsumexp)(np.array([1.0, -inf])).tolist() == [1.0, 0.0]
    slope = pullback.grad(lambda b: logsumexp(np.array([0.0, 1.0]), b=b))(np.array([1.0, 0.0]))
    np.testing.assert_allclose(slope, [1, math.e])
    signed = functools.partial(logsumexp, b=[1, -2.0], return_sign=True)
    found, _ = pullback.vjp(signed, np.array([0.0, 1.0]))
    np.testing.assert_allclose(found, signed([0, 1.0]))


def test_logsumexp_has_a_softmax_as_its_gradient() -> None:
    derived = pullback.derive(lambda X: logsumexp(X, axis=1), X="N D")
    assert derived.formula("X").splitlines()[-1] == "dX[n,d] = dY[n]*t6[n,d]/t7[n]"


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [None, 0, -1], ids=str)
def test_softmax(name: str, axis: Any) -> None:
    X = np.random.default_rng(4).normal(size=(3, 4))
    check(lambda X: getattr(scipy.special, name)(X, axis=axis), X)


def test_the_softmax_of_scipy_is_that_of_a_person() -> None:
    def by_hand(X: Any) -> Any:
        E = np.exp(X - np.max(X, axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)

    derived = [
        pullback.derive(f, X="N D").formula("X")
        for f in (by_hand, lambda X: scipy.special.softmax(X, axis=1))
    ]
    assert derived[0] == derived[1]


def test_other_functions_of_arrays() -> None:
    x = np.array([[4.2, 5.0, 4.7]])
    for d in (1, 2, 3):
        check(lambda x, d=d: scipy.special.multigammaln(x, d), x)
    for n in (0, 1, 3):
        check(lambda x, n=n: scipy.special.polygamma(n, x), x)
    check(np.i0, x)
    check(scipy.special.softplus, x)
    with pytest.raises(TraceError, match="positive integer"):
        pullback.grad(lambda a: scipy.special.multigammaln(a, 0))(2.0)


# --------------------------------------------------------------------------------------------------
# Distributions


PARAMETERS: dict[str, dict[str, float]] = {
    "gamma": {"a": 2.3},
    "chi2": {"df": 3.4},
    "beta": {"a": 1.7, "b": 2.4},
    "t": {"df": 3.7},
    "lognorm": {"s": 0.7},
    "poisson": {"mu": 2.3},
    "binom": {"n": 5, "p": 0.3},
    "nbinom": {"n": 3.5, "p": 0.4},
    "bernoulli": {"p": 0.3},
    "geom": {"p": 0.4},
}
every_distribution = pytest.mark.parametrize("name", DISTRIBUTIONS)


def methods_of(name: str, *ends: str) -> list[Code]:
    row, family = DISTRIBUTIONS[name], getattr(scipy.stats, name)
    own = [method for method in METHODS if row.has(method) and method not in ("ppf", "isf")]
    return [getattr(family, method) for method in own if method.endswith(ends)]


@every_distribution
def test_a_distribution_is_scipys(name: str) -> None:
    """Densities by all parameters, distribution functions by those that they may be derived by."""
    row, own = DISTRIBUTIONS[name], PARAMETERS.get(name, {})
    x = np.array([1.0, 2.0, 3.0] if row.whole else [0.33, 0.45, 0.8])
    x = np.zeros(1) if name == "bernoulli" else x
    rest = {} if row.whole else {"loc": 0.1, "scale": 1.3}
    given = {"x": x, **own, **rest}
    counted = {"x"} if row.whole else set()
    counted |= {"n"} if row.high == "n" else set()
    parameters = {
        "gamma": ("a",),
        "chi2": ("df",),
        "beta": ("a", "b"),
        "t": ("df",),
        "nbinom": ("n",),
    }
    for ends, fixed in (
        (("pdf", "pmf"), counted),
        (("cdf", "sf"), {*counted, *parameters.get(name, ())}),
    ):
        functions, weights = methods_of(name, *ends), (1.0, 0.7, 1.3, 0.6)

        def total(*args: Any, functions: Any = functions, weights: Any = weights) -> Any:
            scaled = {name: arg for name, arg in zip(given, args, strict=True) if name in rest}
            shapes = args[: len(args) - len(scaled)]
            found = (f(*shapes, **scaled) for f in functions)
            return sum(w * value for w, value in zip(weights, found, strict=False))

        by = tuple(k for k, parameter in enumerate(given) if parameter not in fixed)
        check(total, *given.values(), by=by)
    for parameter in parameters.get(name, ()):
        cdf = functools.partial(methods_of(name, "cdf")[0], x)

        def by(p: Any, cdf: Code = cdf, parameter: str = parameter) -> Any:
            return cdf(**{**own, parameter: p}).sum()

        with pytest.raises(DerivationError, match="can't be written"):
            pullback.grad(by)(own[parameter])


@pytest.mark.parametrize("name", [name for name, row in DISTRIBUTIONS.items() if row.has("ppf")])
def test_quantiles_are_scipys(name: str) -> None:
    family, q = getattr(scipy.stats, name), np.array([0.07, 0.4, 0.93])
    check(lambda q, m, s: family.ppf(q, m, s) + 2 * family.isf(q, m, s), q, 0.3, 1.2, by=(0, 1, 2))
    beyond = np.array([-0.1, 0.0, 1.0, 1.1, math.nan])
    found, _ = pullback.vjp(lambda q: (family.ppf(q), family.isf(q)), beyond)
    np.testing.assert_allclose(found, (family.ppf(beyond), family.isf(beyond)))


@every_distribution
def test_a_distribution_beyond_its_support_and_its_parameters(name: str) -> None:
    own = PARAMETERS.get(name, {})
    functions = methods_of(name, "pdf", "pmf", "cdf", "sf")
    x = np.array([-40.0, -1.5, -1.0, -0.2, 0.0, 0.5, 1.0, 1.5, 2.0, 5.0, 5.5, 9.0, math.nan])

    compare(lambda x: tuple(f(x, **own) for f in functions), x)
    compare(lambda x: tuple(f(x, **own) for f in functions), x[::4].astype(np.float32))
    row = DISTRIBUTIONS[name]
    if row.whole and row.high:  # SciPy's logcdf is 0 at the end of a support that there isn't
        functions = [f for f in functions if f.__name__ != "logcdf"]
    for parameter in (*own, *(() if row.whole else ("scale",))):

        def off(p: Any, x: Any, parameter: str = parameter) -> Any:
            traced = [f(1.0, **{**own, parameter: p}) for f in functions]
            return (*traced, *(f(x, **{**own, parameter: -1.5}) for f in functions))

        found = compare(off, np.array(-1.5), np.array(1.0))
        assert len(found.program.outputs) == 2 * len(functions)
        assert all(map(math.isnan, off(-1.5, 1.0)))


def test_distributions_broadcast() -> None:
    rng = np.random.default_rng(5)
    x, mu, s = rng.normal(size=(4, 3)), rng.normal(size=(1, 3)), rng.uniform(1, 2, (4, 1))
    check(norm.logpdf, x, mu, s, by=(0, 1, 2))
    check(scipy.stats.poisson.logpmf, rng.poisson(2, (4, 3)), s, by=(1,))


def test_the_gradient_of_a_normal_is_the_textbooks() -> None:
    derived = pullback.derive(lambda x, mu, s: norm.logpdf(x, mu, s).sum(), x="N", mu="", s="")
    assert derived.formula("x") == "z[n] = (x[n] - mu)/s\ndx[n] = -dL*z[n]/s"


@pytest.mark.parametrize("method", ["logpdf", "pdf"])
def test_multivariate_normal(method: str) -> None:
    rng = np.random.default_rng(6)
    A = rng.normal(size=(3, 3))
    cov, x, mean = A @ A.T + 2 * np.eye(3), rng.normal(size=(5, 3)) / 2, rng.normal(size=3) / 2
    function = getattr(multivariate_normal, method)
    check(function, x, mean, cov, by=(0, 1, 2))  # SciPy reads the lower triangle
    for given in ((x[0], mean, cov), (x, mean, 2.5), (x, mean, [1, 2, 0.5]), (x[0, :2],)):
        compare(lambda *xs: function(*xs), *map(np.array, given))
    frozen = multivariate_normal(mean, cov)
    compare(lambda x: getattr(frozen, method)(x), x)
    check(lambda m: getattr(multivariate_normal(m, cov), method)(x), mean)
    singular = np.diag([1.0, 2.0, 0.0])
    inside = np.array([0.5, -0.3, 0.0])
    kept = np.array([1.0, 1.0, 0.0])
    check(lambda x: function(x * kept, np.zeros(3), singular, allow_singular=True), inside)
    on_it = functools.partial(function, mean=np.zeros(3), cov=singular, allow_singular=True)
    outside, _ = pullback.vjp(on_it, np.ones(3))
    assert outside == on_it(np.ones(3))


def test_the_entropy_of_a_multivariate_normal() -> None:
    A = np.random.default_rng(7).normal(size=(3, 3))
    cov = A @ A.T + np.eye(3)
    check(lambda cov: multivariate_normal.entropy(np.zeros(3), cov), cov)
    check(lambda cov: multivariate_normal(np.zeros(3), cov).entropy(), cov)


@pytest.mark.parametrize("method", ["logpdf", "pdf"])
def test_dirichlet(method: str) -> None:
    function = getattr(scipy.stats.dirichlet, method)
    x, alpha = np.array([0.2, 0.5, 0.3]), np.array([1.5, 2.3, 0.8])
    check(function, x, alpha, by=(1,))
    check(lambda x: function(x / sum(x), alpha), x)
    check(lambda x: function(x[:2], alpha), x)
    check(lambda a: getattr(scipy.stats.dirichlet(a), method)(x), alpha)
    many = np.stack([x, x[::-1]], 1)
    check(lambda a: function(many, a), alpha)


def test_frozen_distributions() -> None:
    x = np.array([0.3, 1.2])
    held = norm(0.5, 2.0)
    check(lambda x: held.logpdf(x), x)
    check(lambda m: norm(loc=m, scale=2).cdf(x), 0.5)
    check(lambda a: scipy.stats.gamma(a, scale=2.0).logpdf(x), 1.5)
    check(lambda p: scipy.stats.binom(5, p).logpmf(np.array([0, 2, 5])), 0.4)


# --------------------------------------------------------------------------------------------------
# How they are reached


def test_by_whatever_name_they_are_called() -> None:
    x = np.array([0.3, -0.2])
    expected = pullback.grad(lambda x: scipy.special.logsumexp(x))(x)
    held = [logsumexp]
    by_method = norm.logpdf

    def imports(x: Any) -> Any:
        from scipy.special import logsumexp as other

        return other(x)

    for function in (
        logsumexp,
        imports,
        functools.partial(logsumexp, axis=0),
        lambda x: held[0](x),
        lambda x: (lambda f: f(x))(logsumexp),
        lambda x: logsumexp([x[0], x[1]]),
    ):
        np.testing.assert_allclose(pullback.grad(function)(x), expected)
    np.testing.assert_allclose(pullback.grad(lambda x: by_method(x).sum())(x), -x)


def test_scipys_code_is_its_own_after_a_trace() -> None:
    swaps = [*_functions(scipy.special), *_stats(scipy.stats)]
    own = [swap.function.__code__ for swap in swaps]
    seen: list[Any] = []

    def function(x: Any) -> Any:
        seen.append(logsumexp.__code__)
        inner = pullback.grad(lambda y: logsumexp(y))(x)
        assert logsumexp.__code__ is seen[0]
        # SciPy's own, where nothing is traced
        assert logsumexp(np.arange(3.0)) == expected
        assert norm.pdf(np.zeros(2)).tolist() == density
        return inner.sum() + logsumexp(np.zeros(2)) * x.sum()

    expected, density = logsumexp(np.arange(3.0)), norm.pdf(np.zeros(2)).tolist()
    pullback.grad(function)(np.ones(2))
    assert seen[0] is not own[0]
    with pytest.raises(ZeroDivisionError):
        pullback.grad(lambda x: logsumexp(x) / 0 * (1 / 0))(np.ones(2))
    assert [swap.function.__code__ for swap in swaps] == own
    assert all(swap.uses == 0 for swap in swaps)


def test_other_threads_have_scipys_own() -> None:
    found: list[float] = []

    def function(x: Any) -> Any:
        thread = threading.Thread(target=lambda: found.append(logsumexp([0.0, 0.0])))
        thread.start()
        thread.join()
        return logsumexp(x)

    pullback.grad(function)(np.ones(2))
    assert found == [math.log(2)] * len(found) and found


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: scipy.stats.weibull_min.pdf(x, 1.5), "weibull_min.pdf can't be traced"),
        (lambda x: scipy.stats.gamma.ppf(x, 1.5), "gamma.ppf can't be traced"),
        (lambda x: scipy.stats.gamma.pdf(x), "lacks a"),
        (lambda x: scipy.stats.norm.pdf(x, 0, 1, 2), "takes x, loc, scale"),
        (lambda x: scipy.stats.norm.pdf(x, mu=2), "takes x, loc, scale"),
        (lambda x: scipy.special.loggamma(x), "use scipy.special.gammaln"),
    ],
)
def test_what_is_refused_is_named(function: Code, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        pullback.grad(lambda x: function(x).sum())(np.ones(2))


def test_gradients_are_not_traced_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = pullback.grad(
        lambda x: norm.logpdf(x).sum() + logsumexp(x) + scipy.special.gammaln(x + 2).sum()
    )
    expected = gradient(np.ones(3))

    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("traced again")

    monkeypatch.setattr(pullback.trace.tracer, "_run", refuse, raising=False)
    monkeypatch.setattr(pullback.trace.tracer, "standing_in", refuse)
    np.testing.assert_array_equal(gradient(np.ones(3)), expected)


def test_without_scipy_a_formula_is_derived_and_the_source_says_what_it_needs() -> None:
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "scipy":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
sys.meta_path.insert(0, Refuse())
import numpy as np
import pullback
derived = pullback.derive("Y[i] = gammaln(X[i])")
print(derived.formula("X"))
assert "import scipy.special" in derived.source("numpy")
try:
    derived.compile()
except pullback.PullbackError as error:
    print(error)
print(pullback.grad(lambda x: np.exp(x).sum())(np.zeros(1)))
"""
    source = str(Path(pullback.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": source},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dX[i] = dY[i]*digamma(X[i])" in done.stdout
    assert "the source imports scipy, which is not installed" in done.stdout
    assert "pip install scipy" in done.stdout and "[1.]" in done.stdout

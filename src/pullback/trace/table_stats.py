"""Distributions of ``scipy.stats``: their densities and distribution functions, in index notation.

A row has a formula for what defines it; what follows from that is not written down. ``x`` is the
argument less ``loc`` and over ``scale``. Parameters are those that SciPy allows: for others SciPy's
result is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import log, pi
from typing import Any

import numpy as np

from ..functions import fn
from ..ir.expr import (
    ONE,
    ZERO,
    Add,
    And,
    Compare,
    Cond,
    Expr,
    Mul,
    Number,
    Select,
    neg,
    number,
    power,
)
from ..ir.walk import map_tensors
from ..notation.parse import parse
from .record import Sheet
from .rows import composed
from .table_elementwise import elementwise
from .values import Value, cast

HALF_LOG_TWO_PI = "0.91893853320467274178"
METHODS = ("pdf", "pmf", "logpdf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")
INFINITY = number(float("inf"))


@dataclass(frozen=True)
class Range:
    """The values that a parameter may have: from 0 on, or above it, and to 1 at most."""

    zero: bool = False
    one: bool = False

    def holds(self, value: Any) -> bool:
        """Whether all numbers of an array are of the range."""
        above = value >= 0 if self.zero else value > 0
        return bool(np.all(above & (value <= 1) if self.one else above))

    def condition(self, value: Expr) -> list[Cond]:
        """That a value is of the range."""
        above = Compare("<=" if self.zero else "<", ZERO, value)
        return [above, Compare("<=", value, ONE)] if self.one else [above]


POSITIVE, COUNT, CHANCE = Range(), Range(zero=True), Range(zero=True, one=True)
CHANCE_ABOVE_0 = Range(one=True)


@dataclass(frozen=True)
class Distribution:
    """A distribution of one variable.

    ``log`` is the logarithm of the density, ``cdf`` and ``sf`` the distribution function and what
    it lacks of 1, within the support, which is from ``low`` to ``high``, without ``low`` if it is
    ``open``; ``forms`` are formulas of other methods. ``shapes`` are the parameters in SciPy's
    order, each with the values that it may have: for others SciPy's result is no number. ``whole``:
    of whole numbers.
    """

    log: str
    cdf: str = ""
    sf: str = ""
    shapes: Mapping[str, Range] = field(default_factory=dict)
    low: str = ""
    open: bool = False
    high: str = ""
    whole: bool = False
    forms: Mapping[str, str] = field(default_factory=dict)

    def above(self, numbers: Any) -> Any:
        """Which numbers are not below the support."""
        return numbers > float(self.low) if self.open else numbers >= float(self.low)

    def has(self, method: str) -> bool:
        """Whether there is a formula of a method."""
        if method in ("ppf", "isf"):
            return method in self.forms
        return method.endswith(("cdf", "sf")) or ("pmf" in method) == self.whole


DISTRIBUTIONS: dict[str, Distribution] = {
    "norm": Distribution(
        f"-x**2/2 - {HALF_LOG_TWO_PI}",
        "ndtr(x)",
        "ndtr(-x)",
        forms={
            "pdf": "exp(-x**2/2)/2.5066282746310005024",
            "logcdf": "log_ndtr(x)",
            "logsf": "log_ndtr(-x)",
            "ppf": "ndtri(x)",
            "isf": "-ndtri(x)",
        },
    ),
    "expon": Distribution(
        "-x",
        "-expm1(-x)",
        "exp(-x)",
        low="0",
        forms={"pdf": "exp(-x)", "logsf": "-x", "ppf": "-log1p(-x)", "isf": "-log(x)"},
    ),
    "gamma": Distribution(
        "xlogy(a - 1, x) - x - gammaln(a)",
        "gammainc(a, x)",
        "gammaincc(a, x)",
        {"a": POSITIVE},
        low="0",
    ),
    "chi2": Distribution(
        "xlogy(df/2 - 1, x) - x/2 - gammaln(df/2) - 0.69314718055994530942*df/2",
        "gammainc(df/2, x/2)",
        "gammaincc(df/2, x/2)",
        {"df": POSITIVE},
        low="0",
    ),
    "beta": Distribution(
        "xlog1py(b - 1, -x) + xlogy(a - 1, x) - betaln(a, b)",
        "betainc(a, b, x)",
        "betainc(b, a, 1 - x)",
        {"a": POSITIVE, "b": POSITIVE},
        low="0",
        high="1",
    ),
    "t": Distribution(
        "-log(df)/2 - betaln(df/2, 1/2) - (df + 1)/2*log1p(x**2/df)",
        "stdtr(df, x)",
        "stdtr(df, -x)",
        {"df": POSITIVE},
    ),
    "cauchy": Distribution(
        "-1.1447298858494001741 - log1p(x**2)",
        "1/2 + 0.31830988618379067154*arctan(x)",
        "1/2 - 0.31830988618379067154*arctan(x)",
    ),
    "laplace": Distribution(
        "-0.69314718055994530942 - abs(x)",
        "where(0 < x, 1 - exp(-x)/2, exp(x)/2)",
        "where(0 < x, exp(-x)/2, 1 - exp(x)/2)",
        forms={
            "logcdf": "where(0 < x, log1p(-exp(-x)/2), x - 0.69314718055994530942)",
            "logsf": "where(0 < x, -x - 0.69314718055994530942, log1p(-exp(x)/2))",
        },
    ),
    "logistic": Distribution(
        "-x - 2*softplus(-x)",
        "sigmoid(x)",
        "sigmoid(-x)",
        forms={
            "logcdf": "-softplus(-x)",
            "logsf": "-softplus(x)",
            "ppf": "logit(x)",
            "isf": "-logit(x)",
        },
    ),
    "lognorm": Distribution(
        f"-(log(x)/s)**2/2 - log(s) - log(x) - {HALF_LOG_TWO_PI}",
        "ndtr(log(x)/s)",
        "ndtr(-log(x)/s)",
        {"s": POSITIVE},
        low="0",
        open=True,
    ),
    "uniform": Distribution("0*x", "x", "1 - x", low="0", high="1"),
    "poisson": Distribution(
        "xlogy(x, mu) - gammaln(x + 1) - mu",
        "gammaincc(x + 1, mu)",
        "gammainc(x + 1, mu)",
        {"mu": COUNT},
        low="0",
        whole=True,
    ),
    "binom": Distribution(
        "gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + xlogy(x, p) + xlog1py(n - x, -p)",
        "betainc(n - x, x + 1, 1 - p)",
        "betainc(x + 1, n - x, p)",
        {"n": COUNT, "p": CHANCE},
        low="0",
        high="n",
        whole=True,
    ),
    "nbinom": Distribution(
        "gammaln(n + x) - gammaln(x + 1) - gammaln(n) + n*log(p) + xlog1py(x, -p)",
        "betainc(n, x + 1, p)",
        "betainc(x + 1, n, 1 - p)",
        {"n": POSITIVE, "p": CHANCE_ABOVE_0},
        low="0",
        whole=True,
    ),
    "bernoulli": Distribution(
        "xlogy(x, p) + xlog1py(1 - x, -p)",
        "1 - p + 0*x",
        "p + 0*x",
        {"p": CHANCE},
        low="0",
        high="1",
        whole=True,
    ),
    "geom": Distribution(
        "xlog1py(x - 1, -p) + log(p)",
        "-expm1(x*log1p(-p))",
        "exp(x*log1p(-p))",
        {"p": CHANCE_ABOVE_0},
        low="1",
        whole=True,
    ),
}

# What a method gives below the support, and above it.
OUTSIDE = {
    "pdf": (ZERO, ZERO),
    "logpdf": (neg(INFINITY), neg(INFINITY)),
    "cdf": (ZERO, ONE),
    "logcdf": (neg(INFINITY), ZERO),
    "sf": (ONE, ZERO),
    "logsf": (ZERO, neg(INFINITY)),
}


def distribution(family: Any, method: str) -> Callable[..., Any]:
    """The builder of a method of a distribution of one variable."""
    row = DISTRIBUTIONS.get(family.name)
    form = method.replace("pmf", "pdf")

    def build(sheet: Sheet, *args: Any, **options: Any) -> Value:
        own = type(family).__module__.startswith("scipy.stats.")
        if row is None or not own or not row.has(method):
            raise sheet.refusal(
                f"scipy.stats.{family.name}.{method} can't be traced",
                expected=f"one of {', '.join(DISTRIBUTIONS)}",
                hint="write its formula with scipy.special's functions",
            )
        first = "q" if method in ("ppf", "isf") else "k" if row.whole else "x"
        names = (first, *row.shapes, "loc", *(() if row.whole else ("scale",)))
        if len(args) > len(names) or not set(options) <= set(names[len(args) :]):
            raise TypeError(f"takes {', '.join(names)}")
        given = {"loc": 0, "scale": 1} | dict(zip(names, args, strict=False)) | options
        missing = [name for name in (first, *row.shapes) if name not in given]
        if missing:
            raise TypeError(f"lacks {', '.join(missing)}")
        return _Method(sheet, row, form, {"x": given.pop(first), **given}).value()

    return build


@dataclass
class _Method:
    """One call of a method, as an element of its result."""

    sheet: Sheet
    row: Distribution
    form: str
    given: Mapping[str, Any]

    def value(self) -> Value:
        """The result."""
        if self.form in ("ppf", "isf"):
            return self.quantile()
        z = self.standardised()
        parts = {"x": z} | {name: self.floats(self.given[name]) for name in self.row.shapes}
        if not self.trivial("scale"):
            parts["scale"] = self.floats(self.given["scale"])
        names = tuple(parts)

        def lowered(*exprs: Expr) -> Expr:
            return self.element(dict(zip(names, exprs, strict=True)))

        return elementwise(lowered, list(parts.values()), np.dtype(float))

    def quantile(self) -> Value:
        """Where the distribution function has a value, or what it lacks of 1 is one."""
        names = ("x", *self.row.shapes, "loc", "scale")
        numbers = self.known("x")

        def lowered(*exprs: Expr) -> Expr:
            parts = dict(zip(names, exprs, strict=True))
            found = self.formula(parts)
            if not self.trivial("scale"):
                found = Mul((found, parts["scale"]))
            if not self.trivial("loc"):
                found = Add((found, parts["loc"]))
            if not (_holds(numbers, lambda q: q >= 0) and _holds(numbers, lambda q: q <= 1)):
                inside = And(tuple(CHANCE.condition(parts["x"])))
                found = Select(inside, found, number(float("nan")))
            return self.valid(parts, found)

        values = [self.floats(self.given[name]) for name in names]
        return elementwise(lowered, values, np.dtype(float))

    def floats(self, given: Any) -> Value:
        """An array of float64, as SciPy makes it."""
        if not hasattr(given, "_pullback_value") and np.ndim(given):
            given = np.asarray(given, float)
        value = self.sheet.value(given)
        if value.dtype == np.dtype(float) or value.literal is not None:
            return value
        return self.sheet.keep(cast(value, np.dtype(float)))

    def trivial(self, name: str) -> bool:
        """Whether a parameter is left as it is."""
        return type(self.given[name]) in (int, float) and self.given[name] == (name == "scale")

    def standardised(self) -> Value:
        """The argument less ``loc`` and over ``scale``."""
        value = self.floats(self.given["x"])
        if self.trivial("loc") and self.trivial("scale"):
            return value
        loc, scale = self.floats(self.given["loc"]), self.floats(self.given["scale"])

        def lowered(x: Expr, loc: Expr, scale: Expr) -> Expr:
            moved = x if self.trivial("loc") else Add((x, neg(loc)))
            return moved if self.trivial("scale") else Mul((moved, power(scale, -1)))

        return self.sheet.keep(elementwise(lowered, [value, loc, scale], np.dtype(float)), "z")

    def known(self, name: str) -> Any:
        """A parameter's numbers, None where it is traced."""
        given = self.given[name]
        held = getattr(given, "_pullback_plain", given)
        return None if held is None else np.asarray(held, float)

    def element(self, parts: Mapping[str, Expr]) -> Expr:
        """An element of the result, of the elements of its arguments."""
        row, x = self.row, parts["x"]
        if row.whole and (self.known("x") is None or not self.form.endswith("pdf")):
            parts = {**parts, "x": fn("floor", x)}
        found = self.formula(parts)
        if "scale" in parts and self.form.endswith("pdf"):
            scale = parts["scale"]
            logs = self.form == "logpdf"
            found = Add((found, neg(fn("log", scale)))) if logs else Mul((found, power(scale, -1)))
        return self.valid(parts, self.supported(parts, x, found))

    def supported(self, parts: Mapping[str, Expr], x: Expr, found: Expr) -> Expr:
        """What is found, within the support; numbers that are known are looked at."""
        row, density = self.row, self.form.endswith("pdf")
        below, above = OUTSIDE[self.form]
        numbers = self.known("x") if self.trivial("loc") and self.trivial("scale") else None
        if row.whole and density and not _holds(numbers, lambda k: k == np.floor(k)):
            found = Select(Compare("<", fn("floor", x), x), below, found)
        if row.high:
            high = _formula(row.high, parts)
            most = float(high.value) if isinstance(high, Number) else None
            if not density or most is None or not _holds(numbers, lambda k: k <= most):
                past = Compare("<" if density else "<=", high, parts["x"])
                found = Select(past, above, found)
        if row.low and not _holds(numbers, row.above):
            outside = Compare("<=" if row.open else "<", parts["x"], number(row.low))
            found = Select(outside, below, found)
        return found

    def formula(self, parts: Mapping[str, Expr]) -> Expr:
        """What the form is within the support."""
        row = self.row
        own = {"logpdf": row.log, "cdf": row.cdf, "sf": row.sf, **row.forms}.get(self.form)
        if own is not None:
            return _formula(own, parts)
        if self.form == "pdf":
            return fn("exp", _formula(row.log, parts))
        return fn("log", _formula(row.cdf if self.form == "logcdf" else row.sf, parts))

    def valid(self, parts: Mapping[str, Expr], found: Expr) -> Expr:
        """Not a number where a parameter isn't one that the distribution may have."""
        ranges = dict(self.row.shapes)
        if not self.trivial("scale"):
            ranges["scale"] = POSITIVE
        conditions: list[Cond] = []
        for name, allowed in ranges.items():
            numbers = self.known(name)
            if numbers is not None and not numbers.ndim and not allowed.holds(numbers):
                return number(float("nan"))
            if name == "scale" and self.form == "logpdf" and not self.row.low:
                continue  # the logarithm of the scale is no number, either
            if numbers is None or not allowed.holds(numbers):
                conditions += allowed.condition(parts[name])
        if not conditions:
            return found
        every = conditions[0] if len(conditions) == 1 else And(tuple(conditions))
        return Select(every, found, number(float("nan")))


def _holds(numbers: Any, test: Callable[[Any], Any]) -> bool:
    """Whether numbers are known, and all of them are so."""
    return numbers is not None and bool(np.all(test(numbers)))


def _formula(text: str, parts: Mapping[str, Expr]) -> Expr:
    """A formula of the parts by their names."""
    found = map_tensors(_parsed(text, tuple(parts)), lambda access: parts[access.tensor.name])
    assert isinstance(found, Expr)
    return found


@lru_cache(maxsize=256)
def _parsed(text: str, names: tuple[str, ...]) -> Expr:
    inputs = "; ".join(f"{name}[]" for name in names)
    return parse(f"{inputs}; f[] = {text}").statements[0].body


# --------------------------------------------------------------------------------------------------
# Distributions of several variables


@composed
def log_normal(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """The logarithm of the density of a multivariate normal distribution."""
    mean, cov = _parameters(mean, cov)
    count = np.shape(mean)[0]
    if np.ndim(x) == 0:
        x = np.reshape(x, (1,))
    if np.ndim(x) == 1:
        x = np.reshape(x, (-1, 1) if count == 1 else (1, -1))
    rest = x - mean
    flat = np.reshape(rest, (-1, count))
    if allow_singular and isinstance(cov, np.ndarray):
        found = _singular(flat, cov)
    else:
        lower = np.linalg.cholesky(cov)
        distance = np.sum(np.linalg.solve(lower, np.transpose(flat)) ** 2, axis=0)
        found = -(distance + _volume(lower) + count * LOG_TWO_PI) / 2
    return np.squeeze(np.reshape(found, np.shape(rest)[:-1]))


@composed
def entropy_of_normal(mean: Any = None, cov: Any = 1) -> Any:
    """The entropy of a multivariate normal distribution."""
    mean, cov = _parameters(mean, cov)
    return (np.shape(mean)[0] * (LOG_TWO_PI + 1) + _volume(np.linalg.cholesky(cov))) / 2


LOG_TWO_PI = log(2 * pi)


def _parameters(mean: Any, cov: Any) -> tuple[Any, Any]:
    """Mean and covariance, as a vector and a matrix of which the lower triangle is read."""
    if mean is None:
        mean = np.zeros(1 if np.ndim(cov) < 2 else np.shape(cov)[0])
    mean = np.reshape(mean, (-1,))
    if np.ndim(cov) == 0:
        cov = cov * np.eye(np.shape(mean)[0])
    elif np.ndim(cov) == 1:
        cov = np.diag(cov)
    return mean, cov


def _volume(lower: Any) -> Any:
    """The logarithm of a determinant, from Cholesky's factor."""
    return 2 * np.sum(np.log(np.diagonal(lower)))


def _singular(rest: Any, cov: Any) -> Any:
    """The logarithm of the density on the space that a covariance, which isn't traced, spans; its
    least eigenvalues are taken for 0, as in SciPy."""
    values, vectors = np.linalg.eigh(cov)
    least = 1e6 * np.finfo(float).eps * np.max(np.abs(values))
    if np.min(values) < -least:
        raise ValueError("the covariance must be positive semidefinite")
    kept = values > least
    inner, outer = vectors[:, kept] / np.sqrt(values[kept]), vectors[:, ~kept]
    volume = np.sum(np.log(values[kept])) + np.sum(kept) * LOG_TWO_PI
    found = -(np.sum((rest @ inner) ** 2, axis=1) + volume) / 2
    if outer.shape[1]:
        aside = np.sqrt(np.sum((rest @ outer) ** 2, axis=1))
        found = np.where(aside < 1e3 * least, found, -np.inf)
    return found


@composed
def log_dirichlet(x: Any, alpha: Any) -> Any:
    """The logarithm of the density. The numbers are taken to be positive, with a sum of 1."""
    from scipy.special import gammaln, xlogy

    if np.shape(x)[0] + 1 == np.shape(alpha)[0]:
        x = np.concatenate([x, np.expand_dims(1 - np.sum(x, axis=0), 0)])
    scale = np.sum(gammaln(alpha)) - gammaln(np.sum(alpha))
    powers = np.reshape(alpha - 1, (-1,) + (1,) * (np.ndim(x) - 1))
    return np.squeeze(np.sum(xlogy(powers, x), axis=0) - scale)


def _density(log: Callable[..., Any]) -> Callable[..., Any]:
    """The builder of a density, from that of its logarithm."""

    def build(sheet: Sheet, *args: Any, **options: Any) -> Any:
        wish = sheet.place.name
        with sheet.composing():
            found = np.exp(log(sheet, *args, **options))
        sheet.name(found._pullback_value.tensor, wish)
        return found

    return build


MULTIVARIATE: dict[str, dict[str, Callable[..., Any]]] = {
    "multivariate_normal": {
        "logpdf": log_normal,
        "pdf": _density(log_normal),
        "entropy": entropy_of_normal,
    },
    "dirichlet": {"logpdf": log_dirichlet, "pdf": _density(log_dirichlet)},
}
# The parameters of frozen distributions, which these have as attributes.
PARAMETERS = {"multivariate_normal": ("mean", "cov", "allow_singular"), "dirichlet": ("alpha",)}

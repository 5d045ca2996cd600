"""Functions of ``scipy.special`` that are no ufuncs: what they are of NumPy's functions.

NumPy asks a traced array about its own functions and about every ufunc, SciPy's among them, but not
about these: their names stand for others while a function is traced (:mod:`.scipys`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import log, pi
from typing import Any

import numpy as np

from ..functions import fn
from ..ir.expr import ZERO, Add, Expr, number
from .record import Sheet
from .rows import composed, row
from .table_elementwise import elementwise
from .values import Value, cast

Builder = Callable[..., Any]

# Name of a function of scipy.special -> the builder of its value.
SPECIAL: dict[str, Builder] = {}


def special(build: Builder) -> Builder:
    """Enters the builder of the function of this name."""
    SPECIAL[build.__name__] = build
    return build


def _floats(sheet: Sheet, given: Any) -> Value:
    """An array of floats."""
    value = sheet.value(given)
    return value if value.dtype.kind == "f" else sheet.keep(cast(value, np.dtype(float)))


@special
def polygamma(sheet: Sheet, n: Any, x: Any) -> Value:
    """The derivative of order n of digamma."""

    def lowered(n: Expr, x: Expr) -> Expr:
        return fn("digamma", x) if n is ZERO else fn("polygamma", n, x)

    return elementwise(lowered, [sheet.value(n), sheet.value(x)], np.dtype(float))


@special
def multigammaln(sheet: Sheet, a: Any, d: Any) -> Value:
    """The logarithm of the multivariate gamma function of d dimensions."""
    value, dimensions = _floats(sheet, a), operator.index(d)
    if dimensions < 1:
        raise ValueError("d should be a positive integer (dimension)")
    constant = number(dimensions * (dimensions - 1) / 4 * log(pi))

    def lowered(x: Expr) -> Expr:
        parts = [fn("gammaln", Add((x, number(-k / 2))) if k else x) for k in range(dimensions)]
        return Add((*parts, constant)) if dimensions > 1 else parts[0]

    return elementwise(lowered, [value], value.dtype)


@row(np.i0)
def i0(sheet: Sheet, x: Any) -> Value:
    """The modified Bessel function of order 0."""
    value = _floats(sheet, x)
    return elementwise(lambda x: fn("i0", x), [value], value.dtype)


@special
def softplus(sheet: Sheet, x: Any) -> Value:
    """log(1 + exp(x))."""
    value = _floats(sheet, x)
    return elementwise(lambda x: fn("softplus", x), [value], value.dtype)


@special
@composed
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """log(Σ b·exp(a)) along axes, the greatest taken out."""
    among = a
    if b is not None:
        a, b = np.broadcast_arrays(a, b)
        among = np.where(b == 0, -np.inf, a)
    most = np.max(among, axis=axis, keepdims=True)
    most = np.where(np.abs(most) < np.inf, most, 0)
    terms = np.exp(a - most) if b is None else b * np.exp(a - most)
    total = np.sum(terms, axis=axis, keepdims=keepdims)
    if not keepdims:
        most = np.reshape(most, np.shape(total))
    if return_sign:
        return np.log(np.abs(total)) + most, np.sign(total)
    return np.log(total) + most


@special
@composed
def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) / Σ exp(x) along axes."""
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@special
@composed
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of a softmax along axes."""
    most = np.max(x, axis=axis, keepdims=True)
    shifted = x - np.where(np.abs(most) < np.inf, most, 0)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))

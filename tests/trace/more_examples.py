"""Examples for functions that are made of others, and for reductions of some elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checking import Arg, F, I

ROWS_OF_3 = F(3, 5)
COUNTS = np.array([1, 2, 1, 3, 2])


def gaps(x: Any) -> Any:
    """Some elements as NaN."""
    return np.where(np.abs(x) < 0.7, np.nan, x)


MORE: dict[Any, list[Any]] = {
    **{
        function: [
            (lambda x, f=function: f(gaps(x)), F(3, 4)),
            (lambda x, f=function: f(gaps(x), axis=0), F(3, 4)),
            (lambda x, f=function: f(gaps(x), axis=1, keepdims=True), F(3, 2)),
            (lambda x, f=function: f(x, axis=1), I(3, 4)),
        ]
        for function in (np.nanmax, np.nanmin, np.nanprod, np.nanvar, np.nanstd)
    },
    np.cov: [
        (lambda x: np.cov(x), ROWS_OF_3),
        (lambda x: np.cov(x, rowvar=False, bias=True), ROWS_OF_3),
        (lambda x, y: np.cov(x, y, ddof=0), F(5), F(5)),
        (lambda x: np.cov(x, fweights=COUNTS, aweights=COUNTS / 2), ROWS_OF_3),
        (lambda x: np.cov(x), F(4)),
        (lambda x: np.cov(x), Arg(2, 4, dtype="float32")),
    ],
    np.corrcoef: [
        (lambda x: np.corrcoef(x), ROWS_OF_3),
        (lambda x, y: np.corrcoef(x, y), F(5), F(5)),
    ],
    np.gradient: [
        (lambda x: np.gradient(x), F(5)),
        (lambda x: np.gradient(x, 0.5, edge_order=2), F(5)),
        (lambda x: np.gradient(x), F(3, 4)),
        (lambda x: np.gradient(x, 2.0, 3.0), F(3, 4)),
        (lambda x: np.gradient(x, axis=1), F(3, 4)),
        (lambda x: np.gradient(x, np.array([0.0, 1, 3, 4, 7])), F(5)),
        (lambda x: np.gradient(x, np.array([0.0, 1, 3, 4, 7]), edge_order=2), F(5)),
        (lambda x, t: np.gradient(x, np.cumsum(np.exp(t)), edge_order=2), F(5), F(5)),
        (lambda x: np.gradient(x), I(5)),
    ],
    np.unwrap: [
        (lambda x: np.unwrap(4 * x), F(8)),
        (lambda x: np.unwrap(3 * x, axis=0, period=4.0, discont=2.5), F(6, 2)),
    ],
    np.insert: [
        (lambda x: np.insert(x, 2, 9.0), F(4)),
        (lambda x, v: np.insert(x, [1, 3], v), F(4), F(2)),
        (lambda x, v: np.insert(x, 1, v, axis=1), F(3, 4), F(3)),
        (lambda x: np.insert(x, slice(None, 2), 0.5, axis=0), F(3, 2)),
    ],
    np.delete: [
        (lambda x: np.delete(x, 1), F(4)),
        (lambda x: np.delete(x, [0, 2], axis=1), F(2, 4)),
        (lambda x: np.delete(x, slice(1, 3)), F(5)),
    ],
    np.resize: [(lambda x: np.resize(x, (3, 4)), F(5)), (lambda x: np.resize(x, 3), F(2, 4))],
    np.dsplit: [(lambda x: tuple(np.dsplit(x, 2)), F(2, 3, 4))],
    np.apply_along_axis: [
        (lambda x: np.apply_along_axis(np.sum, 0, x**2), F(3, 4)),
        (lambda x: np.apply_along_axis(lambda v: v[::-1] * v.sum(), 1, x), F(3, 4)),
        (lambda x: np.apply_along_axis(lambda v: np.outer(v, v), 1, x), F(2, 3, 2)),
    ],
    np.apply_over_axes: [(lambda x: np.apply_over_axes(np.sum, x, (0, 2)), F(2, 3, 4))],
    np.piecewise: [
        (lambda x: np.piecewise(x, [x < 0, x >= 0], [-1.0, 1.0]), F(5)),
        (lambda x: np.piecewise(x, [x < 0], [lambda v: v**2, lambda v: np.sqrt(v)]), F(6)),
        (lambda x: np.piecewise(x, x > 1, [np.log, 3.0]), F(6)),
    ],
    np.vander: [
        (lambda x: np.vander(x), F(3)),
        (lambda x: np.vander(x, 4, increasing=True), F(3)),
        (lambda x: np.vander(x, 2), I(3)),
    ],
    np.choose: [(lambda x, y: np.choose(np.array([0, 1, 1]), [x, y]), F(3), F(3))],
    np.polymul: [(lambda x, y: np.polymul(x, y), F(3), F(2))],
    np.linspace: [(lambda x: np.linspace(x[0], x[1], 4), F(2))],
    np.logspace: [(lambda x: np.logspace(x[0], x[1], 4), F(2))],
    np.geomspace: [(lambda x: np.geomspace(x[0], x[1], 4), F(2, low=0.5, high=3.0))],
    np.polyadd: [(lambda x, y: np.polyadd(x, y), F(3), F(5))],
    np.polysub: [(lambda x, y: np.polysub(x, y), F(3), F(2))],
    np.polyder: [(lambda x: np.polyder(x), F(4)), (lambda x: np.polyder(x, 2), F(4))],
    np.polyint: [(lambda x: np.polyint(x, 2, k=[1.0, 2.0]), F(3)), (lambda x: np.polyint(x), F(3))],
    np.polyfit: [
        (lambda x, y: np.polyfit(x, y, 2), F(6), F(6)),
        (lambda x, y: np.polyfit(x, y, 1, w=np.array([1.0, 2, 1, 3])), F(4), F(4)),
        (lambda y: np.polyfit(np.arange(4.0), y, 1), F(4, 2)),
    ],
    np.isin: [
        (lambda x: np.isin(x, [1, 2]) * 2.0, I(5)),
        (lambda x: np.isin(x, [1, 2], invert=True), I(2, 3)),
    ],
    np.isposinf: [(lambda x: np.isposinf(1 / x), np.array([0.0, 1.0, -0.0]))],
    np.isneginf: [(lambda x: np.isneginf(1 / x), np.array([0.0, 1.0, -0.0]))],
    np.isreal: [(lambda x: np.isreal(x) * x, F(3))],
    np.iscomplex: [(lambda x: np.iscomplex(x) * x, F(3))],
    np.imag: [(lambda x: np.imag(x) + x, F(3))],
    np.real_if_close: [(lambda x: np.real_if_close(x) * 2, F(3))],
    np.diag_indices_from: [(lambda x: x[np.diag_indices_from(x)], F(3, 3))],
    np.tril_indices_from: [(lambda x: x[np.tril_indices_from(x)], F(3, 3))],
    np.triu_indices_from: [(lambda x: x[np.triu_indices_from(x, 1)], F(3, 4))],
    np.linalg.cross: [(lambda x, y: np.linalg.cross(x, y, axis=0), F(3, 2), F(3, 2))],
    np.linalg.diagonal: [(lambda x: np.linalg.diagonal(x, offset=1) * 1, F(2, 3, 4))],
    np.linalg.trace: [(lambda x: np.linalg.trace(x, offset=-1), F(2, 3, 4))],
}

SOME_ELEMENTS = [
    *(
        (lambda x, f=function, k=axis: f(x, axis=k, where=x > -1, keepdims=k == 1), F(3, 4))
        for function in (np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all)
        for axis in (None, 0, 1)
    ),
    *(
        (lambda x, f=function, k=axis: f(x, axis=k, where=x > 0, initial=0.5), F(3, 4))
        for function in (np.sum, np.prod, np.max, np.min)
        for axis in (None, 0)
    ),
    *(
        (lambda x, f=function: f(x > 0, axis=0, where=x > -1), F(3, 4))
        for function in (np.sum, np.prod, np.any, np.all, np.mean)
    ),
    (lambda x: np.max(x > 0, axis=0, where=x > -1, initial=False), F(3, 4)),
    (lambda x: np.min(x > 0, axis=0, where=x > -1, initial=True), F(3, 4)),
    (lambda x: np.max(x, initial=7, axis=0), F(3, 4)),
    (lambda x: np.max(x, axis=0, where=x > 0, initial=-5), I(3, 4)),
    (lambda x: np.sum(x, where=np.array([True, False, True])), F(2, 3)),
    (lambda x: np.var(x, ddof=1, where=x > -9), F(2, 3)),
    (lambda x: np.mean(x, where=np.array([True, False, True])), F(2, 3)),
    (lambda x: np.mean(x, axis=0, where=np.array([True, False, True])), F(2, 3)),
    (lambda x: np.var(x, axis=(0, 2), where=(x > -1)[:, :1, :1]), F(2, 3, 4)),
    (lambda x: np.std(x, axis=1, ddof=1, where=(x > -9)[:1], keepdims=True), F(2, 3)),
    (lambda x: np.max(x[:0], initial=2.0) + x, F(2)),
    (lambda x, y: np.cross(x, y, axisa=0, axisb=-1, axisc=1), F(3, 2), F(2, 3)),
]

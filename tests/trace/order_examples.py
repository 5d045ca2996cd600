"""Examples of running values, of order and of what is counted by place."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checking import Arg, B, F, I

NANS = np.array([[1.0, np.nan, -2.0], [0.5, 3.0, 0.25], [np.inf, -1.0, np.nan]])
KNOTS = np.array([-1.0, -0.2, 0.5, 1.3])
HEIGHTS = np.array([2.0, -1.0, 0.5, 3.0])
METHODS = (
    *("linear", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased"),
    *("normal_unbiased", "inverted_cdf", "averaged_inverted_cdf", "closest_observation"),
    *("lower", "higher", "midpoint", "nearest"),
)


def _sorted_in_place(x: Any) -> Any:
    y = x * 2
    y.sort(axis=0)
    return y * x


def _partitioned_in_place(x: Any) -> Any:
    y = x * 2
    y.partition(2)
    return y[2]


ORDER: dict[Any, list[tuple[Any, ...]]] = {
    np.cumsum: [
        (lambda x: np.cumsum(x), F(3, 4)),
        (lambda x: x.cumsum(axis=-1), F(2, 3, 4)),
        (lambda x: np.cumsum(x, 0)[::-1][1:], F(4, 2)),
        (lambda x: np.cumsum(x[::-1])[::-1], F(5)),
        (lambda x: np.add.accumulate(x, axis=1), F(3, 4)),
        (lambda x: np.cumsum(x), F()),
        (lambda x: np.cumsum(x, axis=1), F(2, 0)),
        (lambda n: np.cumsum(n), I(5, dtype="int16")),
        (lambda c: np.cumsum(c, axis=0), B(3, 2)),
        (lambda n: np.cumsum(n, dtype=float), I(4)),
        (lambda x: np.cumsum(x), np.array([1.0, np.inf, 2.0])),
    ],
    np.cumprod: [
        (lambda x: np.cumprod(x), F(3, 2)),
        (lambda x: x.cumprod(axis=1), F(2, 4)),
        (lambda x: np.multiply.accumulate(x), F(4, 2)),
        (lambda x: np.cumprod(x), np.array([2.0, 0.0, 3.0, 0.0, 4.0])),
        (lambda x: np.cumprod(x, -1), F(3, 1)),
        (lambda n: np.cumprod(n), I(4)),
        (lambda x: np.subtract.accumulate(x), F(4)),
        (lambda x: np.hypot.accumulate(x, axis=1), F(2, 3, low=1)),
    ],
    np.ediff1d: [
        (lambda x: np.ediff1d(x), F(2, 3)),
        (lambda x, y: np.ediff1d(x, to_begin=y, to_end=[1.0, 2.0]), F(4), F(2)),
    ],
    np.nancumsum: [(lambda x: np.nancumsum(x, axis=1), NANS[:2])],
    np.nancumprod: [(lambda x: np.nancumprod(x), NANS[:2])],
    np.cumulative_sum: [
        (lambda x: np.cumulative_sum(x, include_initial=True), F(4)),
        (lambda x: np.cumulative_sum(x, axis=0), F(3, 2)),
    ],
    np.cumulative_prod: [(lambda x: np.cumulative_prod(x, axis=1, include_initial=True), F(2, 3))],
    np.sort: [
        (lambda x: np.sort(x), F(3, 4)),
        (lambda x: np.sort(x, axis=0)[::-1], F(4, 2)),
        (lambda x: np.sort(x, axis=None, kind="stable"), F(2, 3)),
        (lambda x: np.sort(x, axis=1), NANS),
        (lambda n: np.sort(n), I(5)),
        (lambda c: np.sort(c), B(5)),
        (lambda x: np.sort(x), F(2, 0)),
        (lambda x: np.sort(x), Arg(4, dtype="float32")),
        (_sorted_in_place, F(3, 2)),
    ],
    np.argsort: [
        (lambda x: np.argsort(x), F(2, 4)),
        (lambda x: x.argsort(axis=0, stable=True), np.round(np.sin(np.arange(12.0))).reshape(4, 3)),
        (lambda x: x[np.argsort(x)[::-1]][:2], F(5)),
        (lambda x: np.take_along_axis(x, np.argsort(-x, axis=1)[:, :2], axis=1), F(3, 4)),
        (lambda x: np.argsort(np.argsort(x)) * x, F(5)),
        (lambda x, y: x[np.argsort(y)].sum(axis=1), F(4, 3), F(4)),
        (lambda x: np.argsort(x, axis=None), F(2, 3)),
    ],
    np.partition: [
        (lambda x: np.partition(x, 1, axis=0)[1], F(4, 2)),
        (lambda x: np.partition(x, (0, 2))[3:].sum(), F(5)),
        (_partitioned_in_place, F(5)),
    ],
    np.argpartition: [(lambda x: x[np.argpartition(x, 2)[2]], F(5))],
    np.lexsort: [
        (lambda x, y: x[np.lexsort((y, np.round(x)))], F(6), F(6)),
        (lambda x: np.lexsort(x, axis=0), np.round(np.cos(np.arange(24.0))).reshape(2, 4, 3)),
    ],
    np.median: [
        (lambda x: np.median(x), F(5)),
        (lambda x: np.median(x), F(3, 4)),
        (lambda x: np.median(x, axis=(0, -1), keepdims=True), F(2, 3, 4)),
        (lambda x: np.median(x, axis=1), NANS),
        (lambda n: np.median(n), I(4)),
        (lambda x: np.median(x, axis=0), Arg(4, 2, dtype="float32")),
        (lambda x: np.median(x), np.array([np.inf, 1.0, np.inf])),
    ],
    np.quantile: [
        *((lambda x, m=m: np.quantile(x, 0.3, method=m), F(7)) for m in METHODS),
        *((lambda x, m=m: np.quantile(x, 0.95, axis=0, method=m), F(4, 2)) for m in METHODS),
        (lambda x: np.quantile(x, [[0.0, 0.2], [0.5, 1.0]], axis=1, keepdims=True), F(3, 5)),
        (lambda x: np.quantile(x, 1 / 3), NANS[:2]),
        (lambda x: np.quantile(x, 0.5, axis=-1), Arg(3, 4, dtype="float32")),
    ],
    np.percentile: [
        (lambda x: np.percentile(x, [25, 50, 75]), F(3, 3)),
        (lambda x: np.percentile(x, 33.3, axis=0), F(5, 2)),
    ],
    np.nanmedian: [(lambda x: np.nanmedian(x, axis=1), NANS), (lambda x: np.nanmedian(x), F(4))],
    np.nanquantile: [
        (lambda x: np.nanquantile(x, 0.3, axis=0, method="hazen"), NANS[:2]),
        (lambda x: np.nanquantile(x, 0.5, keepdims=True), F(2, 3)),
    ],
    np.nanpercentile: [(lambda x: np.nanpercentile(x, 80, axis=1), NANS[:2])],
    np.searchsorted: [
        (lambda x: np.searchsorted(KNOTS, x) * x, F(2, 3)),
        (lambda x: np.searchsorted(KNOTS, x, side="right"), F()),
        (lambda a, v: np.searchsorted(np.sort(a), v, "right") * v, F(5), F(2, 2)),
        (lambda a, v: np.searchsorted(a, v, sorter=np.argsort(a)), F(5), F(3)),
        (lambda n: np.searchsorted([0, 2, 2, 4], n), I(5, low=0, high=5)),
    ],
    np.digitize: [
        (lambda x: np.digitize(x, KNOTS) * x, F(5)),
        (lambda x: np.digitize(x, KNOTS[::-1], right=True), F(2, 3)),
    ],
    np.interp: [
        (lambda x: np.interp(x, KNOTS, HEIGHTS), F(6)),
        (lambda x: np.interp(x, KNOTS, HEIGHTS, left=-7.0, right=9.0), F(2, 3)),
        (lambda x, p, f: np.interp(x, np.sort(p), f), F(5), F(4), F(4)),
        (lambda x, p, f: np.interp(x, p, f, period=1.7), F(5), F(4), F(4)),
        (lambda x, f: np.interp(x, [0.2], f), F(3), F(1)),
        (lambda x: np.interp(x, KNOTS, HEIGHTS), np.array([-1.0, 0.5, 1.3, np.nan])),
        (lambda f: np.interp(0.3, KNOTS, f), F(4)),
    ],
    np.bincount: [
        (lambda w: np.bincount([2, 0, 1, 2, 5], weights=w), F(5)),
        (lambda w: np.bincount([1, 0, 1], weights=w, minlength=4), Arg(3, dtype="float32")),
    ],
    np.histogram: [
        (lambda w: np.histogram(KNOTS, bins=3, weights=w)[0], F(4)),
        (lambda x, w: np.histogram(x, bins=4, range=(-1.0, 1.0), weights=w)[0], F(7), F(7)),
        (lambda x: np.histogram(x, bins=KNOTS)[0], np.array([-1.0, 1.3, 0.5, 2.0])),
        (lambda x, e: np.histogram(x, bins=np.sort(e), weights=x), F(6), F(4)),
        (
            lambda x, w: np.histogram(x, bins=KNOTS, weights=w, density=True)[0],
            np.array([-0.5, 0.0, 0.7]),
            F(3, low=1),
        ),
    ],
    np.unique: [
        (
            lambda x, w: w[np.unique(x, return_inverse=True)[1]],
            np.array([[2.0, np.nan, -1.0], [np.nan, 2.0, 0.0]]),
            F(6),
        ),
        (lambda n: np.unique(n, return_inverse=True)[1], I(6)),
    ],
}

# Methods of ufuncs, which are no rows of their own.
METHODS_OF_UFUNCS: list[tuple[Any, ...]] = [
    (lambda x: np.cumsum(np.diff(x, prepend=0.0)), F(5)),
    (lambda x, y: np.diff(x, n=2, axis=0, prepend=y, append=1.0), F(4, 2), F(1, 2)),
    (lambda x: np.maximum.accumulate(x, axis=1), F(3, 5)),
    (lambda x: np.minimum.accumulate(x), F(5, 2)),
    (lambda x: np.maximum.accumulate(x), np.array([0.0, 1.0, 1.0, np.nan, 2.0])),
    (lambda n: np.maximum.accumulate(n), I(5)),
    (lambda x: np.logaddexp.accumulate(x), F(4, 2)),
    (lambda x: np.logaddexp.reduce(x, axis=-1, keepdims=True), F(2, 4)),
    (lambda x: np.logaddexp.reduce(x), np.array([-np.inf, -np.inf])),
    (lambda x: np.add.reduceat(x, [0, 4, 1, 5, 2, 6, 3, 7]), F(8)),
    (lambda x: np.add.reduceat(x, [0, 2, 2], axis=1), F(2, 4)),
    (lambda x: np.add.reduceat(x, [3, 1] * 10, axis=1), F(2, 5)),
    (lambda x: np.add.reduceat(x, range(0, 40, 2)), F(40)),
]

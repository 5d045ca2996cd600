"""Examples of every row: NumPy function -> (function to trace, arguments)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checking import Arg, B, F, I
from .more_examples import MORE, SOME_ELEMENTS
from .order_examples import METHODS_OF_UFUNCS, ORDER

windows = np.lib.stride_tricks.sliding_window_view

Example = tuple[Any, ...]


def REDUCED(a: Any) -> Any:
    return np.linalg.svd(a, full_matrices=False)


EXAMPLES: dict[Any, list[Example]] = {
    # elementwise
    np.where: [
        (lambda c, x, y: np.where(c, x, y), B(3, 4), F(3, 4), F(4)),
        (lambda x: np.where(x > 0, x, 0), F(3, 4)),
        (lambda x, n: np.where(n, x, -1.0), F(3), I(3, low=0, high=2)),
        (lambda c, p, q: np.where(c, p, q), B(4), B(4), B(1)),
        (lambda x: np.where(x < 500, np.exp(x), 1), np.array([1.0, 1e3, np.inf])),
    ],
    np.i0: [
        (lambda x: np.i0(x), F(2, 3)),
        (lambda n: np.i0(n), I(3)),
        (lambda x: np.i0(x), Arg(3, dtype="float32")),
    ],
    np.empty_like: [
        (lambda x: x + 0 * np.empty_like(x), F(2, 3)),
    ],
    np.select: [
        (lambda x: np.select([x < -1, x < 0, x > 1], [x, -x, x * x], 7), F(9)),
        (lambda x: np.select([x < 0], [x]), F(2, 3)),
    ],
    np.clip: [
        (lambda x: np.clip(x, -1, 1), F(3, 4)),
        (lambda x: np.clip(x, None, 1), F(3)),
        (lambda x: x.clip(0), F(3)),
        (
            lambda x, lo, hi: np.clip(x, lo, hi),
            F(3, 4),
            F(4, low=-1, high=0),
            F(3, 1, low=0, high=1),
        ),
        (lambda x: np.clip(x, 1, -1), F(4)),
        (lambda x: x.clip(), F(4)),
        (lambda n: np.clip(n, 0, 2), I(6)),
    ],
    np.round: [
        (lambda x: np.round(x), F(5)),
        (lambda x: np.round(x, 2), F(5)),
        (lambda x: x.round(1), F(5)),
        (lambda x: np.round(x, -1), F(5, low=-99, high=99)),
        (lambda n: np.round(n), I(4)),
    ],
    np.around: [(lambda x: np.around(x, 1), F(5))],
    np.fix: [(lambda x: np.fix(x), F(5))],
    np.sinc: [(lambda x: np.sinc(x), F(5)), (lambda x: np.sinc(x), np.array([0.0, 1.0]))],
    np.nan_to_num: [
        (lambda x: np.nan_to_num(x), np.array([np.nan, np.inf, -np.inf, 2.0])),
        (
            lambda x: np.nan_to_num(x, nan=3.0, posinf=1.0, neginf=-1.0),
            np.array([np.nan, np.inf, -np.inf]),
        ),
        (lambda n: np.nan_to_num(n), I(3)),
    ],
    np.real: [(lambda x: np.real(x) * 2, F(3)), (lambda x: x.real + 1, F(3))],
    np.isclose: [(lambda x, y: np.isclose(x, y, atol=0.5), F(9), F(9))],
    # reductions
    np.sum: [
        (lambda x: np.sum(x), F(3, 4)),
        (lambda x: x.sum(axis=-1), F(3, 4)),
        (lambda x: x.sum((0, 2), keepdims=True), F(2, 3, 4)),
        (lambda x: np.sum(x, axis=()), F(2, 3)),
        (lambda x: np.sum(x, axis=0), F(0, 3)),
        (lambda x: np.sum(x), F()),
        (lambda n: n.sum(0), I(3, 2, dtype="int32")),
        (lambda c: c.sum(), B(7)),
        (lambda x: np.sum(x, 1, np.float32), F(2, 3)),
        (lambda x: np.add.reduce(x), F(3, 2)),
        (lambda x: np.add.reduce(x, axis=None), F(3, 2)),
    ],
    np.prod: [
        (lambda x: np.prod(x), F(2, 3)),
        (lambda x: x.prod(axis=0, keepdims=True), F(2, 3)),
        (lambda x: np.prod(x, axis=1), F(2, 0)),
        (lambda x: np.multiply.reduce(x, axis=1), F(2, 3)),
    ],
    np.mean: [
        (lambda x: np.mean(x), F(3, 4)),
        (lambda x: x.mean(-1, keepdims=True), F(3, 4)),
        (lambda x: x.mean(axis=(0, -1)), F(2, 3, 4)),
        (lambda n: n.mean(0), I(3, 2)),
        (lambda c: c.mean(), B(7)),
        (lambda x: np.mean(x, axis=0), F(1, 3)),
    ],
    np.var: [
        (lambda x: np.var(x), F(3, 4)),
        (lambda x: x.var(axis=0), F(3, 4)),
        (lambda x: x.var(axis=(0, 2), keepdims=True, ddof=1), F(2, 3, 4)),
        (lambda x: np.var(x, 0), F(1, 4)),
        (lambda n: np.var(n, 0), I(5, 2)),
    ],
    np.std: [
        (lambda x: np.std(x), F(3, 4)),
        (lambda x: x.std(axis=1, ddof=1), F(3, 4)),
        (lambda x: x.std(-1, keepdims=True), F(3, 4)),
    ],
    np.max: [
        (lambda x: np.max(x), F(3, 4)),
        (lambda x: x.max(axis=-1, keepdims=True), F(3, 4)),
        (lambda x: x.max((0, 2)), F(2, 3, 4)),
        (lambda n: n.max(0), I(3, 2)),
        (lambda x: np.maximum.reduce(x, axis=1), F(3, 2)),
        (lambda x: np.max(x, axis=1), F(0, 3)),
        (lambda x: np.max(x), F()),
    ],
    np.min: [
        (lambda x: np.min(x), F(3, 4)),
        (lambda x: x.min(axis=0), F(3, 4)),
        (lambda x: np.minimum.reduce(x), F(3, 4)),
    ],
    np.amax: [(lambda x: np.amax(x, 0), F(3, 4))],
    np.amin: [(lambda x: np.amin(x, 1), F(3, 4))],
    np.ptp: [(lambda x: np.ptp(x, axis=0), F(3, 4)), (lambda x: np.ptp(x), F(3, 4))],
    np.argmax: [
        (lambda x: np.argmax(x), F(3, 4)),
        (lambda x: x.argmax(axis=-1), F(3, 4)),
        (lambda x: np.argmax(x, axis=0, keepdims=True), F(3, 4)),
        (lambda x: np.argmax(x, keepdims=True), F(3, 4)),
        (lambda x: np.argmax(x, axis=1), np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])),
    ],
    np.argmin: [(lambda x: np.argmin(x), F(3, 4)), (lambda x: x.argmin(1), F(3, 4))],
    np.any: [
        (lambda c: np.any(c, axis=0), B(3, 2)),
        (lambda x: (x > 1.9).any(), F(3)),
        (lambda x: np.any(x, 1, keepdims=True), I(3, 2, low=0, high=2)),
    ],
    np.all: [
        (lambda c: np.all(c, axis=0), B(3, 2)),
        (lambda x: (x > -1.9).all(), F(3)),
        (lambda c: np.logical_and.reduce(c), B(3, 2)),
        (lambda c: c.all(1), B(3, 0)),
    ],
    np.count_nonzero: [(lambda n: np.count_nonzero(n, axis=0), I(3, 4, low=0, high=2))],
    np.average: [
        (lambda x, w: np.average(x, weights=w), F(3, 2), F(3, 2, low=1)),
        (lambda x, w: np.average(x, axis=1, weights=w), F(3, 2), F(2, low=1)),
        (lambda x: np.average(x, axis=0), F(3, 2)),
    ],
    np.nansum: [(lambda x: np.nansum(x, axis=0), np.array([[1.0, np.nan], [2.0, 3.0]]))],
    np.nanmean: [(lambda x: np.nanmean(x, axis=0), np.array([[1.0, np.nan], [2.0, 3.0]]))],
    np.linalg.norm: [
        (lambda x: np.linalg.norm(x), F(3, 4)),
        (lambda x: np.linalg.norm(x, axis=1, keepdims=True), F(3, 4)),
        (lambda x: np.linalg.norm(x, "fro"), F(3, 4)),
        (lambda x: np.linalg.norm(x, axis=(0, 2)), F(2, 3, 4)),
        (lambda x: np.linalg.norm(x, 1), F(4)),
        (lambda x: np.linalg.norm(x, np.inf, axis=0), F(4, 2)),
        (lambda x: np.linalg.norm(x, -np.inf, axis=0), F(4, 2)),
        (lambda x: np.linalg.norm(x, 2), F(4)),
        (lambda x: np.linalg.norm(x, 3, axis=1), F(2, 4)),
        (lambda x: np.linalg.norm(x, 0), np.array([0.0, 1.0, 2.0])),
        *(
            (lambda x, ord=ord: np.linalg.norm(x, ord), F(3, 4))
            for ord in (1, -1, 2, -2, np.inf, -np.inf, "nuc")
        ),
        *(
            (lambda x, ord=ord: np.linalg.norm(x, ord, axis=(2, 0), keepdims=True), F(2, 3, 4))
            for ord in (1, -1, 2, np.inf, "nuc")
        ),
        (lambda x: np.linalg.norm(x, 1), I(3, 3)),
    ],
    # products
    np.matmul: [
        (lambda a, b: a @ b, F(3, 4), F(4, 2)),
        (lambda a, b: a @ b, F(4), F(4)),
        (lambda a, b: a @ b, F(4), F(4, 2)),
        (lambda a, b: a @ b, F(3, 4), F(4)),
        (lambda a, b: np.matmul(a, b), F(2, 1, 3, 4), F(5, 4, 2)),
        (lambda a, b: np.matmul(a, b), F(2, 3, 4), F(4)),
        (lambda a, b: np.matmul(a, b), F(4), F(2, 4, 3)),
        (lambda a, b: a @ b, F(3, 0), F(0, 2)),
        (lambda a, b: a @ b, F(1, 1), F(1, 3)),
        (lambda a, b: a @ b, I(2, 3), I(3, 2)),
        (lambda a, b: a @ b, B(2, 3), B(3, 2)),
        (lambda a: a @ np.eye(3), F(2, 3)),
        (lambda a: np.arange(6.0).reshape(2, 3) @ a, F(3, 2)),
    ],
    np.dot: [
        (lambda a, b: np.dot(a, b), F(3, 4), F(4, 2)),
        (lambda a, b: a.dot(b), F(4), F(4)),
        (lambda a, b: a.dot(b), F(2, 3, 4), F(5, 4, 2)),
        (lambda a, b: np.dot(a, b), F(), F(3)),
        (lambda a: np.dot(a, 2.0), F(3)),
    ],
    np.inner: [
        (lambda a, b: np.inner(a, b), F(3, 4), F(2, 4)),
        (lambda a, b: np.inner(a, b), F(4), F(4)),
        (lambda a, b: np.inner(a, b), F(4), F()),
    ],
    np.outer: [
        (lambda a, b: np.outer(a, b), F(3), F(4)),
        (lambda a, b: np.outer(a, b), F(3, 2), F(2)),
        (lambda a, b: np.multiply.outer(a, b), F(3, 2), F(2)),
        (lambda a, b: np.subtract.outer(a, b), F(3), F(2)),
    ],
    np.vdot: [(lambda a, b: np.vdot(a, b), F(3, 2), F(3, 2))],
    np.tensordot: [
        (lambda a, b: np.tensordot(a, b), F(2, 3, 4), F(3, 4, 2)),
        (lambda a, b: np.tensordot(a, b, 1), F(2, 3), F(3, 4)),
        (lambda a, b: np.tensordot(a, b, 0), F(2, 3), F(2)),
        (lambda a, b: np.tensordot(a, b, axes=([0, -1], [1, 0])), F(2, 3, 4), F(4, 2, 5)),
        (lambda a, b: np.tensordot(a, b, axes=(1, 1)), F(2, 3), F(4, 3)),
    ],
    np.einsum: [
        (lambda a, b: np.einsum("ij,jk->ik", a, b), F(3, 4), F(4, 2)),
        (lambda a, b: np.einsum("ij,jk", a, b), F(3, 4), F(4, 2)),
        (lambda a: np.einsum("ii->i", a), F(3, 3)),
        (lambda a: np.einsum("ii", a), F(3, 3)),
        (lambda a: np.einsum("iij->j", a), F(3, 3, 2)),
        (lambda a: np.einsum("ba", a), F(3, 2)),
        (lambda a: np.einsum("ab->", a), F(3, 2)),
        (lambda a, b: np.einsum("ij,ij->ij", a, b), F(3, 1), F(3, 4)),
        (lambda a, b: np.einsum("ij,ij->i", a, b), F(3, 1), F(3, 4)),
        (lambda a, b: np.einsum("...ij,...jk->...ik", a, b), F(2, 3, 4), F(4, 2)),
        (lambda a, b: np.einsum("...i,i...", a, b), F(2, 3), F(3, 2)),
        (lambda a, b, c: np.einsum("i,ij,j->", a, b, c, optimize=True), F(3), F(3, 2), F(2)),
        (lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), F(3, 4), F(4, 2)),
        (lambda a, b: np.einsum(a, [0, 1], b, [1, 2]), F(3, 4), F(4, 2)),
        (lambda a: np.einsum(" i j -> j i ", a), F(3, 4)),
        (lambda a, b: np.einsum("i,i", a, b), I(3), I(3, dtype="int32")),
    ],
    np.vecdot: [
        (lambda a, b: np.vecdot(a, b), F(2, 3), F(3)),
        (lambda a, b: np.vecdot(a, b, axis=0), F(3, 2), F(3, 2)),
    ],
    np.linalg.vecdot: [(lambda a, b: np.linalg.vecdot(a, b), F(2, 3), F(2, 3))],
    np.linalg.multi_dot: [(lambda a, b, c: np.linalg.multi_dot([a, b, c]), F(2, 3), F(3, 4), F(4))],
    np.linalg.matrix_power: [
        *((lambda a, n=n: np.linalg.matrix_power(a, n), F(3, 3)) for n in (-3, -1, 0, 1, 3, 6)),
        (lambda a: np.linalg.matrix_power(a, 2), F(2, 3, 3)),
        (lambda a: np.linalg.matrix_power(a, 0), I(2, 2)),
    ],
    np.linalg.inv: [
        (lambda a: np.linalg.inv(a), F(3, 3)),
        (lambda a: np.linalg.inv(a[0].T), F(2, 4, 4)),
        (lambda a: np.linalg.inv(a), F(2, 1, 1)),
        (lambda a: np.linalg.inv(a), F(0, 0)),
        (lambda a: np.linalg.inv(a + 9 * np.eye(2, dtype=int)), I(2, 2)),
        (lambda a: np.linalg.inv(a), Arg(2, 2, dtype="float32")),
    ],
    np.linalg.det: [
        (lambda a: np.linalg.det(a), F(3, 3)),
        (lambda a: np.linalg.det(a) + 1, F(2, 2, 2)),
        (lambda a: np.linalg.det(a), F(0, 0)),
        (lambda a: np.linalg.det(np.eye(3) * 2) * a, F(3)),
    ],
    np.linalg.slogdet: [
        (lambda a: tuple(np.linalg.slogdet(a)), F(3, 3)),
        (lambda a: np.linalg.slogdet(a).logabsdet, F(2, 3, 3)),
    ],
    np.linalg.solve: [
        (lambda a, b: np.linalg.solve(a, b), F(3, 3), F(3)),
        (lambda a, b: np.linalg.solve(a.T, b), F(3, 3), F(3, 2)),
        (lambda a, b: np.linalg.solve(a, b), F(4, 3, 3), F(3, 2)),
        (lambda a, b: np.linalg.solve(a, b), F(3, 3), F(2, 3, 1)),
        (lambda a, b: np.linalg.solve(a, b), F(4, 3, 3), F(3)),
        (lambda b: np.linalg.solve([[2.0, 1.0], [1.0, 3.0]], b), F(2)),
        (lambda a: np.linalg.solve(a, np.arange(3.0)), F(3, 3)),
        (lambda a, b: np.linalg.solve(a, b), Arg(2, 2, dtype="float32"), F(2)),
    ],
    np.linalg.cholesky: [
        (lambda a: np.linalg.cholesky(a @ a.T + np.eye(3)), F(3, 3)),
        (lambda a: np.linalg.cholesky(a + 9 * np.eye(3)), F(2, 3, 3)),
        (lambda a: np.linalg.cholesky(a + 9 * np.eye(3), upper=True), F(3, 3)),
    ],
    np.linalg.eigvalsh: [
        (lambda a: np.linalg.eigvalsh(a), F(3, 3)),
        (lambda a: np.linalg.eigvalsh(a, UPLO="U"), F(2, 3, 3)),
    ],
    np.linalg.eigh: [
        (lambda a: (lambda w, v: (w, (v * np.exp(w)) @ v.T))(*np.linalg.eigh(a)), F(3, 3)),
        (lambda a: np.linalg.eigh(a, "U").eigenvectors ** 2, F(3, 3)),
    ],
    np.linalg.eigvals: [
        (lambda a: np.linalg.eigvals(a + np.diag([0.0, 9, 20])), F(3, 3)),
        (lambda a: np.linalg.eigvals(a + np.diag([0.0, 9, 20])) ** 2, F(2, 3, 3)),
    ],
    np.linalg.eig: [
        (
            lambda a: (lambda w, v: (w, (v * np.sin(w)) @ np.linalg.inv(v)))(
                *np.linalg.eig(a + np.diag([0.0, 9, 20]))
            ),
            F(3, 3),
        ),
        (lambda a: np.linalg.eig(a + np.diag([0.0, 9, 20])).eigenvectors ** 2, F(3, 3)),
    ],
    np.linalg.svd: [
        *(
            (lambda a: (lambda u, s, vh: (u**2, s, vh**2, (u * s) @ vh))(*REDUCED(a)), F(*shape))
            for shape in ((4, 3), (3, 4), (3, 3), (1, 1))
        ),
        (lambda a: np.linalg.svd(a).S, F(2, 3, 3)),
        (lambda a: np.linalg.svd(a, compute_uv=False), F(2, 3, 4)),
        (lambda a: np.linalg.svd(a, compute_uv=False), I(2, 3, 4)),
        (lambda a: np.linalg.svd(a, compute_uv=False), Arg(3, 2, dtype="float32")),
    ],
    np.linalg.svdvals: [(lambda a: np.linalg.svdvals(a), F(2, 4))],
    np.linalg.qr: [
        *((lambda a: tuple(np.linalg.qr(a)), F(*shape)) for shape in ((4, 3), (3, 4), (3, 3))),
        (lambda a: np.linalg.qr(a).R, F(2, 4, 3)),
        (lambda a: np.linalg.qr(a, mode="r"), F(2, 3, 4)),
        (lambda a: np.linalg.qr(a, mode="complete").Q, F(3, 4)),
        (lambda a: np.linalg.qr(a, mode="r"), Arg(3, 2, dtype="float32")),
    ],
    np.linalg.pinv: [
        (lambda a: np.linalg.pinv(a), F(4, 3)),
        (lambda a: np.linalg.pinv(a), F(2, 3, 4)),
        (lambda a: np.linalg.pinv(a, rcond=0.2), F(4, 3)),
        (lambda a: np.linalg.pinv(a, rtol=0.2), F(3, 4)),
    ],
    np.linalg.lstsq: [
        *(
            (lambda a, b: tuple(np.linalg.lstsq(a, b)), F(*shape), F(shape[0], *more))
            for shape in ((5, 3), (3, 5), (3, 3))
            for more in ((), (2,))
        ),
        (lambda b: np.linalg.lstsq(np.vander([1.0, 2, 3, 4], 2), b)[0], F(4)),
    ],
    np.linalg.matrix_rank: [
        (lambda a: np.linalg.matrix_rank(np.outer(a, a)), F(3)),
        (lambda a: np.linalg.matrix_rank(a, tol=1.5), F(2, 3, 4)),
    ],
    np.linalg.cond: [
        *((lambda a, p=p: np.linalg.cond(a, p), F(3, 3)) for p in (None, 2, -2, 1, "fro", "nuc")),
        (lambda a: np.linalg.cond(a), F(2, 3, 4)),
    ],
    np.linalg.tensorsolve: [
        (lambda a, b: np.linalg.tensorsolve(a, b), F(2, 3, 6), F(2, 3)),
        (lambda a, b: np.linalg.tensorsolve(a, b, axes=(1,)), F(2, 6, 3), F(2, 3)),
    ],
    np.linalg.tensorinv: [(lambda a: np.linalg.tensorinv(a, ind=1), F(6, 2, 3))],
    np.linalg.vector_norm: [
        (lambda a: np.linalg.vector_norm(a, keepdims=True), F(2, 3)),
        (lambda a: np.linalg.vector_norm(a, axis=(0, 2), ord=3, keepdims=True), F(2, 3, 4)),
        (lambda a: np.linalg.vector_norm(a, axis=1, ord=-np.inf), F(2, 3, 4)),
        (lambda a: np.linalg.vector_norm(a, ord=1), F(2, 3)),
    ],
    np.linalg.matrix_norm: [
        (lambda a: np.linalg.matrix_norm(a), F(2, 3, 4)),
        (lambda a: np.linalg.matrix_norm(a, ord="nuc", keepdims=True), F(2, 3, 4)),
    ],
    np.kron: [
        (lambda a, b: np.kron(a, b), F(2, 3), F(3, 2)),
        (lambda a, b: np.kron(a, b), F(3), F(2, 2)),
    ],
    np.linalg.matmul: [(lambda a, b: np.linalg.matmul(a, b), F(2, 3), F(3, 2))],
    np.linalg.tensordot: [(lambda a, b: np.linalg.tensordot(a, b, axes=1), F(2, 3), F(3, 2))],
    np.linalg.outer: [(lambda a, b: np.linalg.outer(a, b), F(2), F(3))],
    np.convolve: [
        (lambda a, b: np.convolve(a, b), F(5), F(3)),
        (lambda a, b: np.convolve(a, b, "same"), F(5), F(2)),
        (lambda a, b: np.convolve(a, b, "same"), F(2), F(5)),
        (lambda a, b: np.convolve(a, b, "valid"), F(5), F(3)),
        (lambda a, b: np.convolve(a, b, "valid"), F(3), F(6)),
    ],
    np.correlate: [
        (lambda a, b: np.correlate(a, b), F(5), F(3)),
        (lambda a, b: np.correlate(a, b, "same"), F(5), F(2)),
        (lambda a, b: np.correlate(a, b, "full"), F(5), F(3)),
        (lambda a, b: np.correlate(a, b, "same"), F(5), F(5)),
    ],
    np.cross: [
        (lambda a, b: np.cross(a, b), F(2, 3), F(3)),
        (lambda a, b: np.cross(a, b, axis=0), F(3, 2), F(3, 2)),
    ],
    np.diagonal: [
        (lambda a: np.diagonal(a), F(3, 4)),
        (lambda a: a.diagonal(1), F(3, 4)),
        (lambda a: a.diagonal(-2, 1, 2), F(2, 4, 3)),
        (lambda a: np.diagonal(a, 9), F(2, 3)),
    ],
    np.trace: [
        (lambda a: np.trace(a), F(3, 4)),
        (lambda a: a.trace(1), F(3, 4)),
        (lambda a: np.trace(a, 0, 0, 2), F(3, 2, 3)),
        (lambda n: np.trace(n), I(3, 3, dtype="int32")),
    ],
    # shapes
    np.shape: [(lambda a: a * np.shape(a)[1], F(3, 4))],
    np.ndim: [(lambda a: a * np.ndim(a), F(3, 4))],
    np.size: [(lambda a: a * np.size(a) / np.size(a, 0), F(3, 4))],
    np.result_type: [(lambda a: a.astype(np.result_type(a, np.float32)), I(3, dtype="int8"))],
    np.iscomplexobj: [(lambda a: a * np.iscomplexobj(a), F(3))],
    np.isrealobj: [(lambda a: a * np.isrealobj(a), F(3))],
    np.copy: [(lambda a: np.copy(a), F(3)), (lambda a: a.copy() + a, F(3))],
    np.transpose: [
        (lambda a: a.T, F(3, 4)),
        (lambda a: np.transpose(a, (2, 0, 1)), F(2, 3, 4)),
        (lambda a: a.transpose(1, -1, 0), F(2, 3, 4)),
        (lambda a: a.transpose((1, 0)), F(2, 3)),
        (lambda a: a.T, F(3)),
    ],
    np.swapaxes: [(lambda a: np.swapaxes(a, 0, -1), F(2, 3, 4)), (lambda a: a.mT, F(2, 3, 4))],
    np.matrix_transpose: [(lambda a: np.matrix_transpose(a), F(2, 3, 4))],
    np.linalg.matrix_transpose: [(lambda a: np.linalg.matrix_transpose(a), F(2, 3, 4))],
    np.moveaxis: [
        (lambda a: np.moveaxis(a, 0, -1), F(2, 3, 4)),
        (lambda a: np.moveaxis(a, [0, 1], [-1, -2]), F(2, 3, 4)),
    ],
    np.rollaxis: [
        (lambda a: np.rollaxis(a, 2), F(2, 3, 4)),
        (lambda a: np.rollaxis(a, 0, 3), F(2, 3, 4)),
        (lambda a: np.rollaxis(a, -2, -1), F(2, 3, 4)),
    ],
    np.reshape: [
        (lambda a: a.reshape(6, 2), F(3, 4)),
        (lambda a: np.reshape(a, (2, -1)), F(3, 4)),
        (lambda a: a.reshape((4, 3, 1)), F(3, 4)),
        (lambda a: a.reshape(-1), F(2, 3, 2)),
        (lambda a: a.reshape(2, 3, 5, 2), F(2, 15, 2)),
        (lambda a: a.reshape(a.shape[0], -1), F(3, 2, 2)),
        (lambda a: a.reshape(1, 1), F()),
        (lambda a: a.reshape(()), F(1, 1)),
        (lambda a: a.reshape(0, 5), F(3, 0)),
        (lambda a: a.reshape(3, 1, 4, 1), F(1, 3, 4)),
        (lambda a: a.reshape(6, 10), F(4, 15)),
        (lambda a: a.reshape(4, 3, 5).transpose(0, 2, 1).reshape(4, 15), F(4, 15)),
    ],
    np.ravel: [
        (lambda a: a.ravel(), F(2, 3)),
        (lambda a: np.ravel(a, order="C"), F(2, 1, 3)),
        (lambda a: a.flatten(), F(2, 3)),
    ],
    np.squeeze: [
        (lambda a: a.squeeze(), F(1, 3, 1)),
        (lambda a: np.squeeze(a, axis=-1), F(1, 3, 1)),
        (lambda a: np.squeeze(a, axis=(0, 2)), F(1, 3, 1)),
    ],
    np.expand_dims: [
        (lambda a: np.expand_dims(a, 0), F(3)),
        (lambda a: np.expand_dims(a, (0, -1)), F(3, 2)),
    ],
    np.atleast_1d: [(lambda a: np.atleast_1d(a), F()), (lambda a: np.atleast_1d(a) + 1, F(3))],
    np.atleast_2d: [(lambda a: np.atleast_2d(a), F()), (lambda a: np.atleast_2d(a), F(3))],
    np.atleast_3d: [
        (lambda a: np.atleast_3d(a), F()),
        (lambda a: np.atleast_3d(a), F(3)),
        (lambda a: np.atleast_3d(a), F(3, 2)),
    ],
    np.broadcast_to: [
        (lambda a: np.broadcast_to(a, (3, 4)), F(4)),
        (lambda a: np.broadcast_to(a, (3, 4)), F(3, 1)),
        (lambda a: np.broadcast_to(a, (2,)), F()),
    ],
    np.broadcast_arrays: [(lambda a, b: np.broadcast_arrays(a, b), F(4), F(3, 1))],
    np.meshgrid: [
        (lambda a, b: np.meshgrid(a, b), F(3), F(4)),
        (lambda a, b, c: np.meshgrid(a, b, c, indexing="ij"), F(3), F(4), F(2)),
        (lambda a, b: np.meshgrid(a, b, sparse=True), F(3), F(4)),
    ],
    np.flip: [
        (lambda a: np.flip(a), F(2, 3)),
        (lambda a: np.flip(a, axis=1), F(2, 3)),
        (lambda a: np.flip(a, axis=(0, -1)), F(2, 3, 4)),
    ],
    np.flipud: [(lambda a: np.flipud(a), F(2, 3))],
    np.fliplr: [(lambda a: np.fliplr(a), F(2, 3))],
    np.rot90: [
        (lambda a: np.rot90(a), F(2, 3)),
        (lambda a: np.rot90(a, 2), F(2, 3)),
        (lambda a: np.rot90(a, -1, axes=(1, 2)), F(2, 3, 4)),
        (lambda a: np.rot90(a, 4), F(2, 3)),
    ],
    np.split: [
        (lambda a: np.split(a, 3), F(6, 2)),
        (lambda a: np.split(a, [1, 3], axis=1), F(2, 5)),
        (lambda a: np.split(a, [3, 1, 9]), F(4)),
    ],
    np.array_split: [(lambda a: np.array_split(a, 3), F(7))],
    np.hsplit: [(lambda a: np.hsplit(a, 2), F(3, 4)), (lambda a: np.hsplit(a, 2), F(4))],
    np.vsplit: [(lambda a: np.vsplit(a, [1]), F(3, 4))],
    windows: [
        (lambda a: windows(a, 3), F(5)),
        (lambda a: windows(a, (2, 3)), F(4, 5)),
        (lambda a: windows(a, (2, 3), axis=(2, 1)), F(2, 4, 5)),
        (lambda a: windows(a, 2, axis=-1)[..., ::2, :], F(2, 7)),
        (lambda a, k: (windows(a, (2, 2))[::2, ::2] * k).sum((-1, -2)), F(5, 6), F(2, 2)),
    ],
    np.repeat: [
        (lambda a: np.repeat(a, 2), F(2, 3)),
        (lambda a: np.repeat(a, 3, axis=0), F(2, 3)),
        (lambda a: a.repeat(2, axis=-1), F(2, 1)),
        (lambda a: np.repeat(a, 0, axis=0), F(2, 3)),
        (lambda a: np.repeat(a, 1, axis=0), F(2, 3)),
        (lambda a: np.repeat(a, [1, 0, 2]), F(3)),
    ],
    np.tile: [
        (lambda a: np.tile(a, 2), F(2, 3)),
        (lambda a: np.tile(a, (2, 1, 2)), F(2, 3)),
        (lambda a: np.tile(a, (2,)), F(1)),
        (lambda a: np.tile(a, (0, 2)), F(3)),
    ],
    # pieces
    np.concatenate: [
        (lambda a, b: np.concatenate([a, b]), F(3), F(2)),
        (lambda a, b: np.concatenate((a, b, a), axis=-1), F(2, 3), F(2, 1)),
        (lambda a, b: np.concatenate([a, b], axis=None), F(2, 3), F(2)),
        (lambda a: np.concatenate([a, np.ones(2, np.float32)]), F(2)),
        (lambda a, b: np.concatenate([a, b]), F(3), F(0)),
        (lambda a, b: np.concatenate([a, b]), I(3), F(2)),
        (lambda a, b: np.concatenate([a, b]), B(3), B(2)),
        (lambda a: np.concatenate([a]) * 2, F(3)),
    ],
    np.append: [
        (lambda a, b: np.append(a, b), F(2, 3), F(2)),
        (lambda a: np.append(a, [[1.0, 2]], 0), F(3, 2)),
    ],
    np.stack: [
        (lambda a, b: np.stack([a, b]), F(3), F(3)),
        (lambda a, b: np.stack([a, b, a], axis=-1), F(2, 3), F(2, 3)),
        (lambda a: np.stack([a.sum(), a.mean()]), F(3)),
        (lambda a, b: np.stack([a > 0, b], 1), F(3), B(3)),
    ],
    np.vstack: [(lambda a, b: np.vstack([a, b]), F(3), F(2, 3))],
    np.hstack: [
        (lambda a, b: np.hstack([a, b]), F(3), F(2)),
        (lambda a, b: np.hstack([a, b]), F(2, 3), F(2, 1)),
    ],
    np.dstack: [
        (lambda a, b: np.dstack([a, b]), F(3), F(3)),
        (lambda a: np.dstack([a, a]), F(2, 3)),
    ],
    np.column_stack: [(lambda a, b: np.column_stack([a, b]), F(3), F(3, 2))],
    np.block: [
        (lambda a, b: np.block([[a, b], [b.T, 2 * np.eye(1)]]), F(2, 2), F(2, 1)),
        (lambda a, b: np.block([a, b]), F(3), F(2)),
    ],
    np.pad: [
        (lambda a: np.pad(a, 1), F(2, 3)),
        (lambda a: np.pad(a, (1, 2)), F(3)),
        (lambda a: np.pad(a, ((0, 0), (2, 1))), F(2, 3)),
        (lambda a: np.pad(a, ((1, 0), (0, 1)), constant_values=5), F(2, 2)),
        (lambda a: np.pad(a, 1, constant_values=((1, 2), (3, 4))), F(2, 2)),
        (lambda a: np.pad(a, ((1, 2), (0, 3)), mode="edge"), F(2, 3)),
        (lambda a: np.pad(a, ((2, 1), (1, 2)), mode="reflect"), F(3, 4)),
        (lambda a: np.pad(a, (1, 2), "symmetric"), F(3)),
        (lambda a: np.pad(a, (2, 1), "wrap"), F(4)),
        (lambda a: np.pad(a, (7, 8), "reflect"), F(3)),
        (lambda a: np.pad(a, (5, 4), "wrap"), F(3)),
        (lambda a: np.pad(a, (5, 8), "symmetric"), F(3)),
        (lambda a: np.pad(a, 2, "reflect"), F(1)),
        (lambda a: np.pad(a, 2, "edge"), F(1)),
        (lambda a: np.pad(a, 0), F(2)),
        (lambda a: np.pad(a, 2), F(0)),
        (lambda c: np.pad(c, 1), B(2, 2)),
        (lambda c: np.pad(c, 1, constant_values=True), B(3)),
        (lambda n: np.pad(n, 1, "edge"), I(3)),
        (lambda a: np.pad(a, (1, 1), constant_values=(-np.inf, np.inf)), F(3)),
    ],
    np.roll: [
        (lambda a: np.roll(a, 1), F(5)),
        (lambda a: np.roll(a, -2, axis=1), F(2, 5)),
        (lambda a: np.roll(a, 7), F(2, 3)),
        (lambda a: np.roll(a, (1, -1), axis=(0, 1)), F(2, 3)),
        (lambda a: np.roll(a, 1, axis=(0, 1)), F(2, 3)),
        (lambda a: np.roll(a, 5), F(5)),
        (lambda a: np.roll(a, 2), F(0)),
        (lambda c: np.roll(c, 1), B(4)),
    ],
    np.diag: [
        (lambda a: np.diag(a), F(3)),
        (lambda a: np.diag(a, 2), F(2)),
        (lambda a: np.diag(a, -1), F(3)),
        (lambda a: np.diag(a, 1), F(3, 4)),
    ],
    np.diagflat: [(lambda a: np.diagflat(a, -1), F(2, 2))],
    np.tril: [
        (lambda a: np.tril(a), F(3, 4)),
        (lambda a: np.tril(a, -1), F(3, 3)),
        (lambda a: np.tril(a, 2), F(2, 4, 3)),
        (lambda a: np.tril(a, -9), F(3, 3)),
        (lambda a: np.tril(a), F(3)),
        (lambda c: np.tril(c), B(3, 3)),
    ],
    np.triu: [
        (lambda a: np.triu(a), F(3, 4)),
        (lambda a: np.triu(a, 1), F(4, 3)),
        (lambda a: np.triu(a, -2), F(4, 3)),
        (lambda a: np.triu(a, 9), F(3, 3)),
    ],
    np.diff: [
        (lambda a: np.diff(a), F(2, 5)),
        (lambda a: np.diff(a, 2, axis=0), F(4, 2)),
        (lambda a: np.diff(a, 3), F(2)),
        (lambda c: np.diff(c), B(5)),
    ],
    np.trapezoid: [
        (lambda a: np.trapezoid(a), F(5)),
        (lambda a, x: np.trapezoid(a, x, axis=0), F(4, 2), F(4)),
        (lambda a: np.trapezoid(a, dx=0.5, axis=0), F(4, 2)),
    ],
    np.polyval: [
        (lambda a: np.polyval([1, -2.5, 3], a), F(4)),
        (lambda p, a: np.polyval(p, a), F(3), F(2, 2)),
        (lambda p, a: np.polyval(p, a), F(1), F(2, 2)),
        (lambda n: np.polyval([2, 1], n), I(3)),
    ],
    # indexing
    np.take: [
        (lambda a, n: np.take(a, n, axis=1), F(2, 3), I(4)),
        (lambda a, n: np.take(a, n), F(2, 3), I(2, 2)),
        (lambda a, n: a.take(n, axis=0), F(4, 2), I(3)),
        (lambda a: np.take(a, [0, 2, 2, -1], axis=0), F(4, 2)),
        (lambda a, n: np.take(a, n, axis=0), F(4, 2), I()),
        (lambda a: np.take(a, 1, axis=0), F(4, 2)),
    ],
    np.take_along_axis: [
        (lambda a, n: np.take_along_axis(a, n, axis=1), F(2, 3), I(2, 4, high=3)),
        (lambda a: np.take_along_axis(a, a.argmax(0, keepdims=True), axis=0), F(4, 3)),
        (lambda a, n: np.take_along_axis(a, n, axis=0), F(4, 1), I(2, 3)),
        (lambda a, n: np.take_along_axis(a, n, axis=1), F(3, 4), I(1, 2)),
        (lambda a: np.take_along_axis(a, np.array([[0], [2]]), axis=1), F(2, 3)),
        (lambda a, n: np.take_along_axis(a, n, axis=None), F(2, 3), I(5)),
    ],
    np.ix_: [(lambda a, n, m: a[np.ix_(n, m)], F(4, 5), I(3), I(2))],
    np.unravel_index: [
        (lambda a: a[np.unravel_index(a.argmax(), a.shape)], F(3, 4)),
        (lambda n: np.unravel_index(n, (2, 3, 4)), I(5, low=0, high=24)),
    ],
    np.zeros_like: [
        (lambda a: a * np.zeros_like(a), F(3)),
        (lambda a: a + np.zeros_like(a, shape=(2, 3)), F(3)),
    ],
    np.ones_like: [
        (lambda a: a + np.ones_like(a, dtype=np.float32), F(2, 3)),
        (lambda n: np.ones_like(n), I(3)),
    ],
    np.full_like: [(lambda a: a * np.full_like(a, 0.5), F(3))],
}

# Younger than NumPy 2.0
if hasattr(np, "matvec"):
    EXAMPLES[np.matvec] = [(lambda a, b: np.matvec(a, b), F(2, 3, 4), F(4))]
if hasattr(np, "vecmat"):
    EXAMPLES[np.vecmat] = [(lambda a, b: np.vecmat(a, b), F(2, 3), F(3, 4))]
if hasattr(np, "unstack"):
    EXAMPLES[np.unstack] = [(lambda a: np.unstack(a, axis=1), F(3, 2))]
if hasattr(np, "astype"):
    EXAMPLES[np.astype] = [
        (lambda a: np.astype(a, np.float32), F(3)),
        (lambda a: a.astype(int), F(5)),
        (lambda a: (a > 0).astype(a.dtype) * a, F(5)),
        (lambda n: n.astype(bool), I(5)),
        (lambda a: a.astype("float64"), F(5)),
    ]
if np.lib.NumpyVersion(np.__version__) >= "2.2.0":
    EXAMPLES[np.pad].append((lambda a: np.pad(a, {-1: (1, 2)}), F(2, 3)))

# Operators, subscripts and Python around them: no rows of their own.
PLAIN: list[Example] = [
    (lambda a, b: a + b - a * b / (a * a + 2), F(3, 4), F(4)),
    (lambda a: 1 - a, F(3)),
    (lambda a: 2 / (a + 5), F(3)),
    (lambda a: 2.0**a, F(3)),
    (lambda a: a**2 + a**-1 + a**0.5, F(3, low=0.5)),
    (lambda a, b: a**b, F(3, low=0.5), F(3)),
    (lambda a: -a + +a * abs(a), F(3)),
    (lambda a, b: a // b + a % b, F(9), F(9, low=0.5)),
    (lambda a: divmod(a, 0.7), F(5)),
    (lambda a: 7 // (a + 5) - 7 % (a + 5), F(5)),
    (lambda n, m: n // m + n % m, I(9), I(9, low=1)),
    (lambda n: n / 2 + n**2, I(4)),
    (lambda a, b: (a > b) & (a >= 0) | ~(b < 1) ^ (b <= a), F(9), F(9)),
    (lambda a: (a == 0) | (a != 1), np.array([0.0, 1.0, 2.0])),
    (lambda c, d: c + d, B(4), B(4)),
    (lambda c, d: c * d, B(4), B(4)),
    (lambda c: c + 1, B(4)),
    (lambda c, d: c == d, B(4), B(4)),
    (lambda c, d: c != d, B(4), B(4)),
    (lambda c, d: c < d, B(4), B(4)),
    (lambda n: ~n, I(4)),
    (lambda a: a * (a > 0), F(5)),
    (lambda a: np.array([1.0, -2.0, 0.5]) * a, F(3)),
    (lambda a: a @ np.array([1.0, -2.0, 0.5]), F(2, 3)),
    (lambda a: np.array([1.0, -2.0, 0.5]) @ a, F(3)),
    (lambda a: np.float32(0.1) * a, F(3)),
    (lambda a: np.float64(0.1) * a, F(3)),
    (lambda a: a[1:], F(5, 2)),
    (lambda a: a[::-1], F(5)),
    (lambda a: a[-1:0:-2], F(6)),
    (lambda a: a[1:-1:2, ::-1], F(6, 3)),
    (lambda a: a[7:], F(5)),
    (lambda a: a[0], F(5, 2)),
    (lambda a: a[-1, ..., None], F(5, 2)),
    (lambda a: a[None, :, None], F(5)),
    (lambda a: a[..., 0], F(2, 3, 4)),
    (lambda a: a[:, None] - a[None], F(4)),
    (lambda a: a[()], F(2)),
    (lambda a: a[np.int64(1)], F(3)),
    (lambda a: a[[0, 2, 2]], F(3, 2)),
    (lambda a: a[[-1, 0]], F(3, 2)),
    (lambda a: a[np.array([[0, 1], [2, 0]])], F(3, 2)),
    (lambda a: a[np.arange(3), [2, 0, 1]], F(3, 4)),
    (lambda a: a[np.array([True, False, True])], F(3, 2)),
    (lambda a: a[:, np.array([True, False, True]), 1], F(2, 3, 2)),
    (lambda a: a[[0, 1], :, [1, 2]], F(2, 3, 4)),
    (lambda a: a[:, [0, 1], [1, 2]], F(2, 3, 4)),
    (lambda a: a[:, [[0], [1]], [1, 2]], F(2, 3, 4)),
    (lambda a: a[0, :, [1, 2]], F(2, 3, 4)),
    (lambda a: a[:, 0, [1, 2]], F(2, 3, 4)),
    (lambda a: a[[1], None, ::-1], F(2, 3)),
    (lambda a: a[np.ix_([0, 2], [1, 0])], F(3, 2)),
    (lambda a, y: a[np.arange(len(y)), y], F(5, 4), I(5)),
    (lambda a, y: a[range(5), y], F(5, 4), I(5)),
    (lambda a, y: a[y], F(4, 2), I(3)),
    (lambda a, y: a[:, y], F(2, 4), I(3)),
    (lambda a, y: a[y, ::-1], F(4, 2), I(2, 3)),
    (lambda a, y: a[y], F(4, 2), I()),
    (lambda a, y, z: a[y, z], F(4, 5), I(3, 1), I(2)),
    (lambda a, y: a[y.astype(np.uint8) * 0], F(4), I(3, low=0)),
    (lambda a, y: a[y], F(4), I(3, low=0, dtype="uint8")),
    (lambda a, y: a[y[::-1], :], F(4, 2), I(3)),
    (lambda a: a[a.argmax(0), np.arange(3)], F(4, 3)),
    (lambda a: (a.sum(), [a, {"x": a * 2}], 3, "text", None), F(2)),
    (lambda a: a, F(2)),
    (lambda a: (a, a), F(2)),
    (lambda a: a.T, F(2, 2)),
    (lambda a: 1.0, F(2)),
    (lambda a: np.eye(2), F(2)),
    (lambda a: np.array([3.0, 1.0, 4.0]), F(2)),
    (lambda a: [row * 2 for row in a], F(2, 3)),
    (lambda a: sum(a), F(3, 2)),
    (lambda a, s: a * s, F(3), 0.5),
    (lambda a, s: a * s + np.exp(s), F(3), 0.5),
    (lambda a, n: a * n + a.sum(n, keepdims=True), F(2, 3), 1),
    (lambda a: np.arange(4) * a, F(4)),
    (lambda a: np.arange(8).reshape(2, 4) + a, F(4)),
    (lambda a: np.arange(8)[::-2] * a, F(4)),
    (lambda a: np.eye(3, k=1) * a, F(3)),
    (lambda a: np.tri(3, 4, -1) * a, F(4)),
    (lambda a: np.triu(np.ones((3, 3))) * 2 @ a, F(3)),
    (lambda a: np.triu(np.ones((4, 4), bool), 1) | (a > 0), F(4)),
    (lambda a: np.full((2, 3), 7) * a, F(3)),
    (lambda a: np.linspace(0, 1, 3) * a, F(3)),
    (lambda a: np.array([-0.0, 0.0]) + a, F(2)),
    (lambda a: np.copysign(a, -0.0), F(3)),
    (lambda a: a * np.nan + np.inf, F(3)),
    (lambda a: a.T.reshape(-1)[::2].sum(), F(3, 4)),
    (lambda a: np.zeros((0, 3)) @ a, F(3)),
]


def _in_place(a: Any) -> Any:
    b = a * 2
    c = b
    b += 1
    b *= a
    return b, c


def _in_place_scalar(a: Any) -> Any:
    total = a.sum()
    first = total
    total += 1.0
    return total, first


PLAIN += [(_in_place, F(3)), (_in_place_scalar, F(3))]
EXAMPLES |= ORDER
EXAMPLES |= MORE
PLAIN += METHODS_OF_UFUNCS
PLAIN += SOME_ELEMENTS

"""Numerical kernels as people write them with loops and stores: at named sizes where the turns can
be said as one, else at plain ones; values are NumPy's, gradients those of differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from pullback.ir.interpret import run
from pullback.trace.rolling import rolled
from pullback.trace.tracer import Spec, trace
from tests.trace.loops import random_stores

Array = np.ndarray[Any, Any]


def relax_square(u: Any, w: Any) -> Any:
    """A stencil that goes back and forth between two arrays."""
    u, w = u.copy(), w.copy()
    for _ in range(9):
        w[1:-1, 1:-1] = u[1:-1, 1:-1] + 0.2 * u[1:-1, :-2]
        u[1:-1, 1:-1] = w[1:-1, 1:-1] - 0.1 * w[2:, 1:-1]
    return u, w


def driven(field: Any, force: Any) -> Any:
    """Time steps over a named number of them."""
    field = field.copy()
    for t in range(force.shape[0]):
        field[0] = force[t]
        field[1:] -= 0.5 * (field[1:] - field[:-1])
    return field


def two_way_filter(x: Any) -> Any:
    """Recursive filters ahead and back, column by column."""
    ahead, back = np.empty_like(x), np.empty(x.shape)
    ahead[:, 0] = 0.5 * x[:, 0]
    for j in range(1, x.shape[1]):
        ahead[:, j] = 0.5 * x[:, j] + 0.3 * ahead[:, j - 1]
    back[:, -1] = 0.2 * x[:, -1]
    for j in range(x.shape[1] - 2, -1, -1):
        back[:, j] = 0.2 * x[:, j] + 0.6 * back[:, j + 1]
    return ahead + back


def forward_substitution(L: Any, b: Any) -> Any:
    x = np.zeros_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return x


def levinson(r: Any) -> Any:
    """A part that grows with each turn, changed in place."""
    y = np.empty_like(r)
    a, b = -r[0], 1.0
    y[0] = a
    for k in range(1, len(r)):
        b *= 1.0 - a * a
        a = -(r[k] + np.flip(r[:k]) @ y[:k]) / b
        y[:k] += a * np.flip(y[:k])
        y[k] = a
    return y


def off_diagonal(X: Any) -> Any:
    """Rows and columns of a symmetric matrix, which shrink."""
    n = X.shape[1]
    out = np.eye(n)
    for i in range(n - 1):
        out[i + 1 : n, i] = out[i, i + 1 : n] = X[:, i] @ X[:, i + 1 : n]
    return out


def rank_update(C: Any, A: Any, a: Any) -> Any:
    """An inner sum of rows that grow."""
    C = C.copy()
    for i in range(A.shape[0]):
        C[i, : i + 1] *= 0.5
        for k in range(A.shape[1]):
            C[i, : i + 1] += a * A[i, k] * A[: i + 1, k]
    return C


def windows(x: Any, w: Any) -> Any:
    """A convolution, place by place."""
    m = w.shape[0]
    rows, columns = x.shape[0] - m + 1, x.shape[1] - m + 1
    out = np.empty((rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = np.sum(x[i : i + m, j : j + m] * w)
    return out


def orthogonal(A: Any) -> Any:
    """Columns made orthogonal, of which fewer are left in each turn."""
    A = A.copy()
    norms = np.zeros(A.shape[1])
    for k in range(A.shape[1]):
        norms[k] = np.sqrt(A[:, k] @ A[:, k])
        q = A[:, k] / norms[k]
        for j in range(k + 1, A.shape[1]):
            A[:, j] -= q * (q @ A[:, j])
    return norms


def shortest(d: Any) -> Any:
    """All pairs' shortest paths."""
    d = d.copy()
    for k in range(d.shape[0]):
        d[:] = np.minimum(d[:], np.add.outer(d[:, k], d[k, :]))
    return d


def tails(x: Any) -> Any:
    total = 0.0
    for t in range(x.shape[0]):
        total = total + np.sin(x[t:]).sum() * x[t]
    return total


def trace_added(a: Any) -> Any:
    total = 0.0
    for i in range(a.shape[0]):
        total += np.tanh(a[i, i])
    return a + total


def implicit_step(u: Any) -> Any:
    """Tridiagonal systems along each row, whose coefficients change from place to place."""
    u, n = u.copy(), u.shape[0]
    v, p, q = np.zeros_like(u), np.empty_like(u), np.empty_like(u)
    a = -0.5 * n * n
    b = 1.0 - 2.0 * a
    v[0, 1 : n - 1], p[1 : n - 1, 0] = 1.0, 0.0
    q[1 : n - 1, 0] = v[0, 1 : n - 1]
    for j in range(1, n - 1):
        p[1 : n - 1, j] = -a / (a * p[1 : n - 1, j - 1] + b)
        q[1 : n - 1, j] = (
            -a * u[j, : n - 2] + (1.0 + 2.0 * a) * u[j, 1 : n - 1] - a * u[j, 2:n]
            - a * q[1 : n - 1, j - 1]
        ) / (a * p[1 : n - 1, j - 1] + b)  # fmt: skip
    v[n - 1, 1 : n - 1] = 1.0
    for j in range(n - 2, 0, -1):
        v[j, 1 : n - 1] = p[1 : n - 1, j] * v[j + 1, 1 : n - 1] + q[1 : n - 1, j]
    return v


def sines_of_sums(A: Any, x: Any) -> Any:
    """Where sums are large, their sines are any numbers: they aren't compared there."""
    out = np.empty_like(x)
    for i in range(len(x)):
        total = 0.0
        for j in range(len(x)):
            total += A[i, j] * x[j]
        out[i] = np.maximum(np.sin(total), 0.1)
    return out


def there_and_back(image: Any) -> Any:
    """Filters of second order along the columns, then along the rows, ahead and back: at small
    sizes a loop has hardly a turn that is like another one."""
    for _ in range(2):
        ahead, back = np.empty_like(image), np.empty_like(image)
        ahead[:, 0] = 0.3 * image[:, 0]
        ahead[:, 1] = 0.3 * image[:, 1] + 0.4 * ahead[:, 0]
        for j in range(2, image.shape[1]):
            ahead[:, j] = 0.3 * image[:, j] + 0.4 * ahead[:, j - 1] - 0.2 * ahead[:, j - 2]
        back[:, -1] = 0.0
        back[:, -2] = 0.1 * image[:, -1]
        for j in range(image.shape[1] - 3, -1, -1):
            back[:, j] = 0.1 * image[:, j + 1] + 0.4 * back[:, j + 1] - 0.2 * back[:, j + 2]
        image = (ahead + back).T
    return image


def energies_of_pairs(x: Any, charge: Any) -> Any:
    """Each pair once, beside steps that move what the pairs are of."""
    x = x.copy()
    found = np.empty(3)
    for step in range(3):
        distance = np.sqrt((x[:, None] - x) ** 2 + 0.1)
        energy = 0.0
        for i in range(len(x)):
            for j in range(i + 1, len(x)):
                energy += charge[i] * charge[j] / distance[i, j]
        found[step] = energy
        x += 0.1 * charge * np.sin(x)
    return found


def windows_of_any_size(x: Any, w: Any) -> Any:
    """It runs with the sizes in some orders only, and at some sizes there is no turn."""
    rows, columns = x.shape[1] - w.shape[0] + 1, x.shape[2] - w.shape[1] + 1
    out = np.empty((len(x), rows, columns, w.shape[2]))
    for i in range(rows):
        for j in range(columns):
            part = x[:, i : i + w.shape[0], j : j + w.shape[1], None]
            out[:, i, j] = (part * w).sum(axis=(1, 2))
    return out


NAMED: list[tuple[Callable[..., Any], dict[str, str], int]] = [
    (relax_square, {"u": "N N", "w": "N N"}, 3),
    (driven, {"field": "N", "force": "T"}, 2),
    (two_way_filter, {"x": "M N"}, 2),
    (forward_substitution, {"L": "N N", "b": "N"}, 3),
    (levinson, {"r": "N"}, 4),
    (off_diagonal, {"X": "4 N"}, 3),
    (rank_update, {"C": "N N", "A": "N M", "a": ""}, 3),
    (windows, {"x": "N M", "w": "3 3"}, 4),
    (shortest, {"d": "N N"}, 2),
    (tails, {"x": "T"}, 2),
    (trace_added, {"a": "N N"}, 1),
    (implicit_step, {"u": "N N"}, 5),
    (sines_of_sums, {"A": "N N", "x": "N"}, 3),
    (there_and_back, {"image": "N M"}, 4),
    (energies_of_pairs, {"x": "N", "charge": "N"}, 4),
    (windows_of_any_size, {"x": "B N M", "w": "K K D"}, 4),
]


def arguments(shapes: dict[str, str], length: int) -> list[Array]:
    random = np.random.default_rng(length)
    sizes = {"N": length, "M": length + 2, "T": length + 1, "B": 2, "K": 3, "D": 2}
    found = []
    for shape in shapes.values():
        extents = tuple(sizes.get(n) or int(n) for n in shape.split())
        found.append(np.asarray(random.uniform(0.3, 0.6, extents)))
        if len(extents) == 2 and extents[0] == extents[1]:
            found[-1] += np.eye(extents[0])
    return found


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def check(function: Callable[..., Any], given: list[Array], out: Any, pulled: Any) -> None:
    """Values are NumPy's, gradients those of differences, and no array of the caller's changes."""
    wanted = as_tuple(function(*given))
    for one, other in zip(as_tuple(out), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    random = np.random.default_rng(3)
    cotangents = [np.asarray(random.normal(size=np.shape(value))) for value in wanted]
    kept = [c.copy() for c in cotangents]
    gradients = as_tuple(pulled(cotangents[0] if not isinstance(out, tuple) else tuple(cotangents)))
    for one, other in zip(cotangents, kept, strict=True):
        np.testing.assert_array_equal(one, other)
    along = [np.asarray(random.normal(size=value.shape)) for value in given]

    def loss(at: float) -> float:
        values = as_tuple(function(*(x + at * u for x, u in zip(given, along, strict=True))))
        return sum(float((v * c).sum()) for v, c in zip(values, kept, strict=True))

    step = 1e-5
    slope = (loss(step) - loss(-step)) / (2 * step)
    found = sum(float((g * u).sum()) for g, u in zip(gradients, along, strict=True))
    assert found == pytest.approx(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("function", "shapes", "least"), NAMED, ids=[f.__name__ for f, *_ in NAMED]
)
def test_kernels_of_named_sizes(
    function: Callable[..., Any], shapes: dict[str, str], least: int
) -> None:
    derivation = pullback.derive(function, **shapes)
    assert len(derivation.source().splitlines()) < 200
    forward, backward = derivation.compile()
    for length in (least, 7):
        given = arguments(shapes, length)
        before = [x.copy() for x in given]
        out, cache = forward(*given)
        check(function, given, out, lambda c, cache=cache: backward(c, cache))
        for one, other in zip(given, before, strict=True):
            np.testing.assert_array_equal(one, other)


def cholesky(A: Any) -> Any:
    """An inner loop whose turns need each other: written out."""
    A = A.copy()
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] = (A[i, j] - A[i, :j] @ A[j, :j]) / A[j, j]
        A[i, i] = np.sqrt(A[i, i] - A[i, :i] @ A[i, :i])
    return np.tril(A)


def sweep(u: Any) -> Any:
    u = u.copy()
    for i in range(1, u.shape[0] - 1):
        for j in range(1, u.shape[1] - 1):
            u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
    return u


PLAIN: list[tuple[Callable[..., Any], tuple[int, ...]]] = [
    (cholesky, (5, 5)),
    (sweep, (5, 6)),
    (orthogonal, (5, 4)),
]


@pytest.mark.parametrize(("function", "shape"), PLAIN, ids=[f.__name__ for f, _ in PLAIN])
def test_kernels_of_plain_sizes(function: Callable[..., Any], shape: tuple[int, ...]) -> None:
    given = np.random.default_rng(2).uniform(0.3, 0.6, shape)
    if shape[0] == shape[1]:
        given = given + given.T + 3 * np.eye(shape[0])
    out, pulled = pullback.vjp(function, given)
    check(function, [given], out, pulled)


def test_inner_loops_whose_turns_need_each_other_are_refused_over_named_sizes() -> None:
    with pytest.raises(PullbackError, match="N") as caught:
        pullback.derive(cholesky, A="N N")
    assert "test_kernels.py" in caught.value.where
    assert "give the size as a number" in caught.value.hint


@pytest.mark.parametrize("seed", range(6))
def test_random_loops_of_stores_are_what_they_were_before_they_were_rolled_up(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = random.integers(3, 9, 2)
    text, function = random_stores(seed)
    given = {"A": random.normal(size=(n, m)), "B": random.normal(size=(n, m))}
    given["x"] = random.normal(size=n)
    traced = trace(function, {name: Spec(x.shape) for name, x in given.items()})
    wanted = function(**given)
    for least in (3, 8):
        made = rolled(traced, least, guarded=least == 3)
        found = run(made.program, {**given, **made.constants})
        for tensor, value in zip(made.program.outputs, wanted, strict=True):
            own = np.array(found[tensor.name].flat, dtype=float).reshape(np.shape(value))
            np.testing.assert_allclose(own, value, rtol=1e-9, atol=1e-9, err_msg=text)

"""docs/coverage.md is what the tables say, and each "yes" in it has an example that is compared.

Rows of the tables have theirs in ``tests/trace/examples.py``, whose values and gradients are
compared by ``tests/trace``; functions of SciPy in ``tests/trace/test_scipy.py`` and
``test_matrices.py``. Here are those of what is no row: arrays that are made, changed and selected,
and methods of arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy

import pullback
from pullback.functions import MADE, TABLE
from pullback.trace.rows import ROWS
from pullback.trace.table_elementwise import known_ufunc
from pullback.trace.table_scipy_linalg import LINALG
from pullback.trace.table_special import SPECIAL
from tests.trace.examples import EXAMPLES
from tests.trace.test_matrices import SCIPY
from tools.covered import PAGE, REASONS, SPACES, lines, page

Code = Callable[[Any], Any]
x = np.array([[0.4, -1.2, 0.7], [1.6, 0.5, -0.8]])
SEEN = dict.fromkeys(SPACES, 0)


def stored(change: Callable[[Any, Any], Any]) -> Code:
    """What an array of the function's own holds after a change."""

    def f(x: Any) -> Any:
        y = x * 1
        change(y, x)
        return y * y

    return f


MADE_ARRAYS: dict[str, Code] = {
    "zeros": lambda x: np.zeros((2, 3)) + x,
    "ones": lambda x: np.ones(3) * x,
    "empty": lambda x: stored(lambda y, x: y.__setitem__(0, x[1]))(np.empty((2, 3)) * 0 + x),
    "full": lambda x: np.full((2, 3), 2.0) * x,
    "eye": lambda x: x @ np.eye(3, k=1),
    "identity": lambda x: x @ np.identity(3),
    "arange": lambda x: x * np.arange(3),
    "linspace": lambda x: x * np.linspace(0, 1, 3),
    "logspace": lambda x: x * np.logspace(0, 1, 3),
    "geomspace": lambda x: x * np.geomspace(1, 8, 3),
    "tri": lambda x: x @ np.tri(3),
    "fromfunction": lambda x: x * np.fromfunction(lambda i, j: i + 2 * j, (2, 3)),
    "indices": lambda x: x * np.indices((2, 3))[1],
    **{
        name: lambda x, name=name: x * getattr(np, name)(3)  # type: ignore[misc]
        for name in ("bartlett", "blackman", "hamming", "hanning")
    },
    "kaiser": lambda x: x * np.kaiser(3, 2.0),
    "array": lambda x: np.array([x[0], x[1] * 2]),
    "asarray": lambda x: np.asarray([x[0] * x[1]]),
    "asanyarray": lambda x: np.asanyarray(x) * x,
    "ascontiguousarray": lambda x: np.ascontiguousarray(x) * x,
}
CHANGED: dict[str, Code] = {
    "copyto": stored(lambda y, x: np.copyto(y, x**2, where=x > 0)),
    "fill_diagonal": stored(lambda y, x: np.fill_diagonal(y, 3.0)),
    "put_along_axis": stored(lambda y, x: np.put_along_axis(y, np.array([[1], [2]]), 5.0, 1)),
    "put": stored(lambda y, x: np.put(y[0], [0, 2], x[1, :2])),
    "putmask": stored(lambda y, x: np.putmask(y, x > 0, x**3)),
}
SELECTED: dict[str, Code] = {
    "nonzero": lambda x: x[np.nonzero(x > 0)].sum(),
    "flatnonzero": lambda x: x[0][np.flatnonzero(x[0] > 0)].sum(),
    "compress": lambda x: np.compress(x[0] > 0, x, axis=1).sum(),
    "extract": lambda x: np.extract(x > 0, x**2).sum(),
}
METHODS: dict[str, Code] = {
    **{
        name: lambda x, name=name: getattr(x, name)() * x  # type: ignore[misc]
        for name in ("sum", "prod", "mean", "var", "std", "max", "min", "copy", "conj", "conjugate")
    },
    **{
        name: lambda x, name=name: getattr(x > 0, name)() * x  # type: ignore[misc]
        for name in ("any", "all")
    },
    **{
        name: lambda x, name=name: getattr(x, name)(1) + x[0, 0]  # type: ignore[misc]
        for name in ("argmax", "argmin", "argsort", "cumsum", "cumprod", "round")
    },
    "argpartition": lambda x: np.take_along_axis(x, x.argpartition(1, 1), 1).sum(1),
    "astype": lambda x: x.astype(float) ** 2,
    "clip": lambda x: x.clip(-0.5, 0.6) * x,
    "diagonal": lambda x: x.diagonal() * 2,
    "dot": lambda x: x.dot(x.T),
    "T": lambda x: x.T @ x,
    "mT": lambda x: x.mT @ x,
    "real": lambda x: x.real**2,
    "imag": lambda x: x.imag + x,
    "fill": stored(lambda y, x: y[0].fill(2.0)),
    "flat": lambda x: x.flat[1] * x,
    "flatten": lambda x: x.flatten() ** 2,
    "ravel": lambda x: x.ravel() ** 2,
    "nonzero": lambda x: x[(x > 0).nonzero()].sum(),
    "partition": stored(lambda y, x: y.partition(1)),
    "sort": stored(lambda y, x: y.sort()),
    "repeat": lambda x: x.repeat(2) ** 2,
    "reshape": lambda x: x.reshape(3, 2) @ x,
    "searchsorted": lambda x: np.arange(3.0).searchsorted(x[0]) + x[0],
    "squeeze": lambda x: x[None].squeeze() ** 2,
    "swapaxes": lambda x: x.swapaxes(0, 1) @ x,
    "take": lambda x: x.take([0, 2, 2]) ** 2,
    "trace": lambda x: x.trace() * x,
    "transpose": lambda x: x.transpose() @ x,
    **{
        name: lambda x, name=name: x * getattr(x, name)  # type: ignore[misc]
        for name in ("ndim", "size", "itemsize", "nbytes")
    },
    "shape": lambda x: x * x.shape[1],
    "dtype": lambda x: x * np.dtype(x.dtype).itemsize,
}


def _size(z: Any) -> Any:
    """A real number an element of a complex array, which both of its parts go into."""
    return np.real(z) + 2 * np.imag(z)


TRANSFORMS: dict[str, Code] = {
    **{
        name: lambda x, name=name: _size(getattr(np.fft, name)(x + 1j * x**2))  # type: ignore[misc]
        for name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "irfft", "irfft2", "irfftn")
    },
    **{
        name: lambda x, name=name: _size(getattr(np.fft, name)(x**2))  # type: ignore[misc]
        for name in ("rfft", "rfft2", "rfftn", "hfft", "ihfft", "fftshift", "ifftshift")
    },
    "fftfreq": lambda x: x * np.fft.fftfreq(3),
    "rfftfreq": lambda x: x[:, :2] * np.fft.rfftfreq(3),
}
COMPLEX: dict[str, Code] = {"angle": lambda x: np.angle(x + 1j * x**2)}
HERE = {
    "np": MADE_ARRAYS | CHANGED | SELECTED | COMPLEX,
    "np.fft": TRANSFORMS,
    "array methods": METHODS,
}


def has_example(space: str, name: str) -> bool:
    """Whether what can be traced is compared with its library, here or by the tests of a table."""
    if name in HERE.get(space, {}):
        return True
    if space == "array methods":
        return False
    function = getattr(SPACES[space], name)
    if isinstance(function, np.ufunc):
        return known_ufunc(function) or function in EXAMPLES
    if space == "scipy.special":
        return name in SPECIAL
    if space == "scipy.linalg":
        return name in SCIPY
    return function in EXAMPLES


@pytest.mark.parametrize("space", SPACES)
def test_each_function_has_a_line(space: str) -> None:
    assert [line.name for line in lines(space) if not line.says] == []
    stale = [name for names in REASONS[space].values() for name in names.split()]
    assert len(stale) == len(set(stale))
    traced = {line.name for line in lines(space) if line.traced}
    assert sorted(traced & set(stale)) == []


@pytest.mark.parametrize("space", SPACES)
def test_what_can_be_traced_has_an_example(space: str) -> None:
    assert [
        line.name for line in lines(space) if line.traced and not has_example(space, line.name)
    ] == []


def test_the_page_is_what_the_tables_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    if f"NumPy {np.__version__}," in text and f"\n{scipy.__version__}, that" in text:
        assert text == page()


CASES = [(space, name) for space, examples in HERE.items() for name in examples]


@pytest.mark.parametrize(("space", "name"), CASES)
def test_examples_are_numpys(space: str, name: str) -> None:
    function = HERE[space][name]

    def total(x: Any) -> Any:
        return np.sum(np.sin(function(x)))

    value, gradient = pullback.value_and_grad(total)(x)
    assert value == pytest.approx(total(x), rel=1e-12)
    for place in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[place] = 1e-6
        slope = (total(x + step) - total(x - step)) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_tables_and_spaces_fit() -> None:
    """Nothing that can be traced is missing from the page."""
    public = {id(getattr(SPACES[space], line.name)) for space in SPACES for line in lines(space)}
    rows = [f for f in ROWS if getattr(f, "__module__", "numpy") in ("numpy", "numpy.linalg")]
    missing = [f.__name__ for f in rows if id(f) not in public]
    assert missing in ([], ["amax", "amin"], ["sliding_window_view"])
    assert set(LINALG) <= set(dir(SPACES["scipy.linalg"]))
    assert all(name in TABLE or name in MADE or name in SPECIAL for name in ("erf", "logit"))

"""A sum over nothing is 0, also where it is divided by the number of its terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback

# A function of a scalar and a vector of length N, and the lengths at which its sum has no terms.
SUMS: dict[str, tuple[Callable[..., Any], int]] = {
    "over what follows the first": (lambda a, X: (a * X[1:] / (len(X) - 1)).sum(), 1),
    "over all": (lambda a, X: (a * X / len(X)).sum(), 0),
    "of squared differences": (
        lambda a, X: (a * (X[1:] - X[:-1]) ** 2 / (len(X) - 1)).sum(),
        1,
    ),
    "under a root": (lambda a, X: (a * X[2:] / np.sqrt(len(X) - 2)).sum(), 2),
    "over the square": (lambda a, X: (a * X[1:] / (len(X) - 1) ** 2).sum(), 1),
    "of products": (lambda a, X: (a * X[1:] * X[:-1] / (len(X) - 1)).sum(), 1),
    "twice": (lambda a, X: (a**2 * X[1:] / (len(X) - 1)).sum() + a * X[1:].sum(), 1),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SUMS)
def test_sums_over_nothing(name: str) -> None:
    """The compiled pair at sizes with terms and without, beside a derivation for just these."""
    function, none = SUMS[name]
    forward, backward = pullback.derive(function, a="", X="N").compile()
    for length in (none, none + 1, none + 2, 7):
        arguments = np.float64(2.0), np.linspace(0.5, 1.5, length)
        value, cache = forward(*arguments)
        found = backward(1.0, cache)
        np.testing.assert_allclose(value, function(*arguments), rtol=1e-15)
        assert length > none or value == found[0] == 0
        step = 1e-6
        up, down = (function(arguments[0] + s, arguments[1]) for s in (step, -step))
        np.testing.assert_allclose(found[0], (up - down) / (2 * step), rtol=1e-7, atol=1e-9)
        _, tangents = pullback.jvp(function, arguments, (1.0, np.zeros(length)))
        np.testing.assert_allclose(tangents, found[0], rtol=1e-12)


def test_a_mean_over_nothing_stays_numpys() -> None:
    """The function itself is NaN there, and the gradient is written as for any mean."""
    derivation = pullback.derive(lambda a, X: (a * X).mean(), a="", X="N")
    assert "max(" not in derivation.source()
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="empty"):
        assert np.isnan(derivation.compile()[0](2.0, np.zeros(0))[0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("power", [1, 2, 3])
def test_powers_of_a_mean_over_nothing_stay_numpys(power: int) -> None:
    forward, _ = pullback.derive(f"Y[] = log(1 + (mean(n) X[n])**{power})").compile()
    assert np.isnan(forward(np.zeros(0))[0])
    assert forward(np.ones(3))[0] == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("text", "fits", "short"),
    [
        ("Y[i] = sum(k) X[i+k]*W[k]", [(3,), (3,)], [(1,), (3,)]),
        ("Y[n,o,i] = sum(c,k) X[n,c,i+k]*W[o,c,k]", [(2, 1, 2), (1, 1, 3)], [(2, 1, 1), (1, 1, 3)]),
        ("Y[i] = max(k:3) X[i+k]", [(2,)], [(1,)]),
    ],
)
def test_a_window_beyond_its_array_is_refused_by_the_source_too(text, fits, short):
    """One that ends just behind the array has no place in it; of a longer one there would be fewer
    than none."""
    derivation = pullback.derive(text)
    module: dict[str, Any] = {}
    exec(derivation.source(), module)
    for forward in (module["forward"], derivation.compile().forward):
        value, _ = forward(*map(np.ones, fits))
        assert value.shape[-1] == fits[0][-1] - (fits[-1][-1] if len(fits) > 1 else 3) + 1
        with pytest.raises(ValueError, match=r"axis \d of Y would have a negative extent"):
            forward(*map(np.ones, short))


@pytest.mark.parametrize(
    "text",
    [
        "X[N]; H[M]; Y[k:M+N] = where(k >= 1 and k < N+1, pad(X, 0)[k-1], 0) + pad(H, 0)[k]",
        "X[N,2]; H[M]; Y[k:M+N] = [1 <= k]*[k < N+1]*sin(pad(X, 0)[k-1,0])*2 + pad(H, 0)[k]",
    ],
)
def test_an_axis_that_is_empty_is_not_read(text: str) -> None:
    """What a condition keeps inside of an array has no element there."""
    derivation = pullback.derive(text)
    forward, backward = derivation.compile()
    shape = derivation.backward.program.inputs[0].shape
    for n in (0, 1, 3):
        X, H = np.linspace(0.1, 0.9, 2 * n)[: n * 2 // (3 - len(shape))], np.arange(2.0)
        X = X.reshape((n, 2)[: len(shape)])
        Y, cache = forward(X, H)
        wanted = np.zeros(n + 2)
        wanted[1 : n + 1] = X if X.ndim == 1 else 2 * np.sin(X[:, 0])
        wanted[:2] += H
        np.testing.assert_allclose(Y, wanted, rtol=1e-14)
        dX, dH = backward(np.ones(n + 2), cache)
        slopes = np.ones(n) if X.ndim == 1 else 2 * np.cos(X[:, 0])
        np.testing.assert_allclose(dX if X.ndim == 1 else dX[:, 0], slopes, rtol=1e-14)
        np.testing.assert_array_equal(dH, [1, 1])

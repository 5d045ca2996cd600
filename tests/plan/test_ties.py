"""The spelling of slopes at ties, of products with what is chosen, and of arrays made of parts."""

from __future__ import annotations

import numpy as np
import pytest

import pullback


def backward_of(text: str) -> str:
    return str(pullback.derive(text).source()).partition("def backward")[2]


LARGER = "Y[n] = maximum(a[n], b[n])*c[n] + minimum(a[n], b[n])*d[n]"


def test_one_array_says_which_of_two_values_is_greater() -> None:
    source = backward_of(LARGER)
    assert source.count("np.heaviside(") == 1
    assert "==" not in source


def test_a_tie_gives_the_mean_of_both_slopes() -> None:
    forward, backward = pullback.derive(LARGER, wrt=("a", "b")).compile()
    a, b = np.array([1.0, 2.0, 3.0, 0.0, -0.0]), np.array([1.0, 1.0, 4.0, 5e-324, 0.0])
    c, d = np.full(5, 3.0), np.full(5, 8.0)
    _, cache = forward(a, b, c, d)
    da, db = backward(np.ones(5), cache)
    np.testing.assert_array_equal(da, [5.5, 3.0, 8.0, 8.0, 5.5])
    np.testing.assert_array_equal(db, [5.5, 8.0, 3.0, 3.0, 5.5])


@pytest.mark.parametrize(
    "text",
    [
        "Y[n] = maximum(exp(a[n]), exp(b[n])) - minimum(exp(a[n]), 2*exp(b[n]))",
        "Y[n] = maximum(1/a[n], b[n])",
    ],
)
def test_values_that_may_be_infinite_are_compared(text: str) -> None:
    assert "np.heaviside" not in backward_of(text)


def test_slopes_that_aren_t_whole_keep_their_digits() -> None:
    def pinball(r, s):  # type: ignore[no-untyped-def]
        return np.maximum(0.999999 * r, -0.000001 * s).sum()

    r, s = np.array([-1.0, -2.0, 3.0]), np.array([-1.0, 2.0, 3.0])
    _, (dr, ds) = pullback.value_and_grad(pinball, argnums=(0, 1))(r, s)
    np.testing.assert_allclose(dr, [0, 0, 0.999999], rtol=1e-15)
    np.testing.assert_allclose(ds, [-0.000001, -0.000001, 0], rtol=1e-15)


def test_a_number_is_multiplied_once_with_what_is_chosen() -> None:
    text = "L[] = sum(n) where(abs(r[n]) <= 1, r[n]**2/2, 3*abs(r[n]) - 5/2)"
    (line,) = (line for line in backward_of(text).splitlines() if "np.where" in line)
    assert line.count("dL *") == 1
    leaky = backward_of("Y[n] = where(x[n] > 0, x[n], 0.01*x[n])")
    assert "np.where(x > 0, dY, 0.01 * dY)" in leaky


def test_an_array_made_of_parts_is_not_filled_before() -> None:
    pairs = """
    Y[t,k] = X[t,2*k]*c[t,k] - X[t,2*k+1]*s[t,k]
    Z[t,k] = X[t,2*k+1]*c[t,k] + X[t,2*k]*s[t,k]
    """
    source = backward_of("X[T,2*K]; c[T,K]; s[T,K];" + pairs)
    assert "np.empty((T, 2 * K)" in source
    assert "np.zeros" in backward_of("X[T,2*K];Y[t,k:K] = X[t,2*k]")


def test_a_sign_meets_the_scalar_that_an_array_is_divided_by() -> None:
    source = backward_of("Y[n,k] = -X[n,k]/s[]")
    assert "-1 / s" in source or "-(dY / s)" not in source

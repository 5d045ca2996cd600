"""Powers of powers: √(x²) is |x|, never x. Whatever is known of signs, at points of every sign."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pullback.notation.parse import parse

from .test_programs import check

SOUND = [
    "Y[i] = sqrt(X[i]**2)",
    "Y[i] = (X[i]**2)**(3/2)",
    "Y[i] = (X[i]**4)**(1/4)",
    "Y[i] = (X[i]**6)**(1/2)/X[i]",
    "Y[i] = sqrt(X[i]**2*W[i]**2)",
    "Y[i] = sqrt(X[i]*W[i])/sqrt(X[i])",
    "Y[i] = sqrt(X[i])*sqrt(W[i])",
    "Y[i] = 1/sqrt(X[i]**2*W[i])",
    "Z[i] = X[i]**3\nY[i] = sqrt(Z[i]**2)*W[i]",
    "Z[i] = X[i]**3\nY[i] = 1/sqrt(Z[i]**2)",
    "Z[i] = X[i]**2\nY[i] = sqrt(Z[i]*W[i])",
    "Z[i] = X[i]**2\nY[i] = sqrt(Z[i]*W[i]**2)",
    "Z[i] = X[i]*W[i]\nY[i] = sqrt(Z[i]**2)/X[i]",
    "s[] = sum(i) X[i]**3\nY[] = (s[]**2)**(3/2)",
    "s[] = sum(i) X[i]\nY[i] = X[i]/sqrt(s[]**2)",
    "s[] = sum(i) X[i]**2\nY[i] = X[i]/sqrt(s[])",
    "Z[i] = exp(X[i])*W[i]\nY[i] = sqrt(Z[i]**2)",
    "Z[i] = exp(X[i])\nY[i] = sqrt(Z[i]**2)*sqrt(Z[i])",
    "Z[i] = tanh(X[i])\nY[i] = sqrt(Z[i]**2)",
    "Z[i] = X[i]**2 - 2*X[i]\nY[i] = sqrt(Z[i]**2)",
    "Z[i] = 0 - X[i]**2\nY[i] = sqrt(Z[i]**2)*Z[i]",
    "Z[i] = abs(X[i])\nY[i] = sqrt(Z[i]**2)*W[i]",
    "v[d] = mean(n) X[n,d]**2\ns[d] = 1/sqrt(v[d])\nY[n,d] = X[n,d]*s[d]",
    "v[d] = mean(n) X[n,d]**3\ns[d] = 1/sqrt(v[d]**2)\nY[n,d] = X[n,d]*s[d]",
]


@pytest.mark.parametrize("text", SOUND)
@pytest.mark.parametrize("seed", [0, 1])
def test_powers_keep_signs(text: str, seed: int) -> None:
    check(parse(text), seed)


factors = st.sampled_from(("X[i]", "W[i]", "exp(X[i])", "abs(W[i])", "Z[i]", "tanh(W[i])"))
whole = st.sampled_from((1, 2, 3, -1, -2, 4))
broken = st.sampled_from(("1/2", "3/2", "-1/2", "1/4", "3/4"))


@st.composite
def towers(draw: st.DrawFn) -> str:
    """Products of powers under roots, and roots in products."""
    first = "*".join(
        f"{f}**({draw(whole)})" for f in draw(st.lists(factors, min_size=1, max_size=3))
    )
    second = draw(factors)
    z = draw(st.sampled_from(("X[i]**2", "X[i]**3", "W[i]*X[i]", "exp(W[i])", "X[i]**2*W[i]")))
    outer = draw(st.sampled_from(("*", "/")))
    return f"Z[i] = {z}\nY[i] = ({first})**({draw(broken)}){outer}{second}**({draw(whole)})"


@settings(max_examples=15, deadline=None, derandomize=True)
@given(towers(), st.integers(0, 9))
def test_random_towers_of_powers(text: str, seed: int) -> None:
    check(parse(text), seed)

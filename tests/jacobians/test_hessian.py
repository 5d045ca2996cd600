"""Hessians of derivations as formulas."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError

from .oracles import by_differences, expect_products

RNG = np.random.default_rng(3)
LOGISTIC = pullback.derive("""
    p[n] = 1/(1 + exp(-sum(d) X[n,d]*w[d]))
    L[] = -sum(n) (y[n]*log(p[n]) + (1 - y[n])*log(1 - p[n]))
""")
ENTROPY = pullback.derive("""
    p[c] = exp(s[c])/sum(k) exp(s[k])
    L[] = -log(p[y[]])
""")
BATCH = pullback.derive("L[] = sum(n) (log(sum(k) exp(S[n,k])) - S[n,y[n]])")
FIT = pullback.derive("L[] = sum(n,m) (T[n,m] - sum(k) U[n,k]*V[k,m])**2")
NETWORK = pullback.derive("L[] = sum(m) v[m]*tanh(sum(d) W[m,d]*x[d])")

ARRAYS: dict[str, dict[str, Any]] = {
    "logistic": {"X": RNG.normal(size=(5, 3)), "w": RNG.normal(size=3), "y": np.ones(5)},
    "entropy": {"s": RNG.normal(size=4), "y": 2},
    "batch": {"S": RNG.normal(size=(3, 4)), "y": np.array([0, 3, 1])},
    "fit": {"U": RNG.normal(size=(3, 2)), "V": RNG.normal(size=(2, 5)), "T": np.ones((3, 5))},
    "network": {"x": RNG.normal(size=3), "W": RNG.normal(size=(4, 3)), "v": RNG.normal(size=4)},
}


def gradient_of(derivation: Any, wrt: str) -> Any:
    """One gradient as a function of all inputs."""
    forward, backward = derivation.compile()

    def run(*arrays: Any) -> Any:
        found = backward(1.0, forward(*arrays)[1])
        return found[wrt] if isinstance(found, tuple) else found

    return run


@pytest.mark.parametrize(
    ("derivation", "wrt", "other", "text", "kind"),
    [
        (LOGISTIC, "w", None, "Xᵀ diag(p·(1 - p)) X", "product of matrices"),
        (ENTROPY, "s", None, "diag(p) − p pᵀ", "diagonal plus rank 1"),
        (
            BATCH,
            "S",
            None,
            "blockdiag_n(diag(P[n]) − P[n] P[n]ᵀ)",
            "block diagonal, diagonal plus rank 1",
        ),
        (FIT, "U", None, "I_N ⊗ 2·V Vᵀ", "Kronecker product"),
        (FIT, "V", None, "2·Uᵀ U ⊗ I_M", "Kronecker product"),
        (FIT, "U", "V", "−2·(t2 ⊗ I_K)·P(1, 0) + 2·U ⊗ V", "sum"),
        (FIT, "T", None, "2·I_(M·N)", "scaled identity"),
        (FIT, "T", "U", "I_N ⊗ −2·Vᵀ", "Kronecker product"),
        (NETWORK, "v", None, "0", "zero"),
        (NETWORK, "x", None, "−2·Wᵀ diag(t2·v·(1 - t2**2)) W", "product of matrices"),
    ],
)
def test_the_structure(derivation: Any, wrt: str, other: str | None, text: str, kind: str) -> None:
    found = derivation.hessian(wrt, other)
    assert (found.text, found.kind) == (text, kind)


def test_labels_of_a_softmax_need_not_be_positions() -> None:
    soft = pullback.derive("""
        p[c] = exp(s[c])/sum(k) exp(s[k])
        L[] = -sum(c) q[c]*log(p[c])
    """).hessian("s")
    assert re.fullmatch(r"(\w+)·diag\(p\) − \1·p pᵀ", soft.text)  # times the sum of q


@pytest.mark.parametrize(
    ("name", "derivation", "pairs"),
    [
        ("logistic", LOGISTIC, [("w", "w"), ("w", "X"), ("X", "X"), ("y", "w")]),
        ("entropy", ENTROPY, [("s", "s")]),
        ("batch", BATCH, [("S", "S")]),
        ("fit", FIT, [("U", "U"), ("V", "V"), ("U", "V"), ("V", "U"), ("T", "V")]),
        ("network", NETWORK, [("x", "x"), ("W", "W"), ("x", "W"), ("v", "W"), ("v", "v")]),
    ],
)
def test_it_is_the_derivative_of_the_gradient(
    name: str, derivation: Any, pairs: list[tuple[str, str]]
) -> None:
    given = ARRAYS[name]
    names = [t.name for t in derivation.backward.program.inputs]
    for wrt, other in pairs:
        H = derivation.hessian(wrt, other).at(**given)
        values = [given[n] for n in names]
        wanted = by_differences(gradient_of(derivation, wrt), values, names.index(other))
        np.testing.assert_allclose(H.dense(), wanted, rtol=1e-7, atol=1e-7)
        expect_products(H, H.dense())
        mirrored = derivation.hessian(other, wrt).at(**given)
        rows, columns = np.ndim(given[wrt]), np.ndim(given[other])
        order = (*range(columns, columns + rows), *range(columns))
        np.testing.assert_allclose(H.dense(), mirrored.dense().transpose(order), atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_hessians_of_random_losses_are_symmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inner = rng.choice(["tanh(u)", "exp(u)", "u**3", "sin(u)", "u/(1 + u**2)", "log(1 + u**2)"])
    outer = rng.choice(["S[n,m]**2", "S[n,m]*c[m]", "exp(-S[n,m])"])
    body = inner.replace("u", "(sum(d) X[n,d]*W[d,m])")
    derivation = pullback.derive(
        f"S[n,m] = {body}\nL[] = sum(n,m) {outer} + sum(m) c[m]", wrt=("X", "W")
    )
    N, D, M = (int(n) for n in rng.integers(1, 4, 3))
    X, W, c = (rng.normal(size=shape) * 0.5 for shape in ((N, D), (D, M), (M,)))
    for wrt, array in (("X", X), ("W", W)):
        H = derivation.hessian(wrt).at(X=X, W=W, c=c)
        matrix = H.dense().reshape(array.size, array.size)
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-10, atol=1e-10)
        names = [t.name for t in derivation.backward.program.inputs]
        values = [{"X": X, "W": W, "c": c}[n] for n in names]
        wanted = by_differences(gradient_of(derivation, wrt), values, names.index(wrt))
        np.testing.assert_allclose(H.dense(), wanted, rtol=1e-7, atol=1e-7)


def test_it_prints_what_it_is() -> None:
    assert str(FIT.hessian("U")).splitlines()[:3] == [
        "∂²L/∂U², shape (N, K, N, K)",
        "  is:       Kronecker product, I_N ⊗ 2·V Vᵀ",
        "  element:  ∂²L/∂U[n,k]∂U[n',k'] = 2*[n' = n]*sum(m) V[k',m]*V[k,m]",
    ]
    block = FIT.hessian("U", "V")
    assert str(block).startswith("∂²L/∂U∂V, shape (N, K, K, M)")
    assert r"\frac{\partial^{2} L}{\partial U_{n,k} \, \partial V_{k^{\prime},m}}" in block.latex()
    at = block.at(**ARRAYS["fit"])
    assert str(at).startswith("∂²L/∂U∂V, shape (3, 2, 2, 5)")
    assert str(at.T).startswith("∂²L/∂V∂U, shape (2, 5, 3, 2)")
    assert str(at.T.T).splitlines()[0] == str(at).splitlines()[0]


def test_values_are_accurate_where_a_probability_is_nearly_one() -> None:
    H = LOGISTIC.hessian("w").at(X=np.ones((1, 1)), w=np.array([50.0]), y=np.ones(1))
    np.testing.assert_allclose(H.dense(), [[np.exp(-50.0)]], rtol=1e-12)  # p*(1 - p) would be 0


def test_of_a_function_with_an_array_that_it_captured() -> None:
    A = np.diag([1.0, 2.0, 3.0])
    H = pullback.derive(lambda x: x @ A @ x, x="3").hessian()
    np.testing.assert_allclose(H.at(x=np.zeros(3)).dense(), 2 * A)


def test_what_has_no_hessian() -> None:
    with pytest.raises(ArgumentError, match="only a single number has a Hessian"):
        pullback.derive("Y[i] = x[i]**2").hessian("x")
    with pytest.raises(ArgumentError, match="only a single number has a Hessian"):
        pullback.derive("a[] = sum(i) x[i]\nb[] = sum(i) x[i]**2\nreturn a, b").hessian("x")
    with pytest.raises(ArgumentError, match="nothing was derived for 'Q'"):
        FIT.hessian("Q")
    with pytest.raises(ArgumentError, match="no such input"):
        FIT.hessian("U", "Q")


@pytest.mark.parametrize("loss", ["-mean(n) log(P[n,y[n]])", "-sum(n,c) y[n,c]*log(P[n,c])"])
def test_each_unnamed_value_of_a_definition_is_defined(loss: str) -> None:
    text = f"P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])\nL[] = {loss}"
    where = pullback.derive(text, wrt="S").hessian("S").where
    defined = {line.partition("[")[0] for line in where}
    read = set(re.findall(r"\bt\d+\b", " ".join(where)))
    assert {"t1", "P"} <= defined and read <= defined


def test_a_number_by_itself_twice() -> None:
    assert "∂²y/∂x² = -sin(x)" in str(pullback.derive("y = sin(x[])").hessian("x"))

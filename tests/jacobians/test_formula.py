"""The Jacobian of a derivation, for all sizes and values."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, PositionError, ShapeError

from .oracles import by_differences, expect_products
from .test_structure import mlp

AFFINE = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
RNG = np.random.default_rng(0)
X, W, V = (RNG.normal(size=shape) for shape in ((3, 4), (4, 5), (5, 2)))


def two_layers(X: Any, W: Any, V: Any) -> Any:
    S = X @ W
    H = np.maximum(S, 0)
    Y = H @ V
    return Y


def test_it_says_what_it_is() -> None:
    text = """\
∂Y/∂X, shape (N, M, N, D)
  is:       Kronecker product, I_N ⊗ Wᵀ
  element:  ∂Y[n,m]/∂X[n',d] = W[d,m]*[n' = n]
  rank:     at most N·min(M, D)
  bytes:    8*D*M B kept, 8*D*M*N*N B dense"""
    assert str(AFFINE.jacobian("Y", "X")) == text
    assert str(AFFINE.jacobian()) == text
    assert repr(AFFINE.jacobian("Y", "b")) == "<Jacobian ∂Y/∂b (N, M, M): 1_N ⊗ I_M>"


def test_latex() -> None:
    assert AFFINE.jacobian("Y", "X").latex() == (
        "\\begin{aligned}\n"
        r"  \frac{\partial Y_{n,m}}{\partial X_{n^{\prime},d}} &= "
        r"W_{d,m} \, \left[n^{\prime} = n\right] \\"
        "\n"
        r"  \frac{\partial Y}{\partial X} &= I_{N} \otimes W^{\top}"
        "\n\\end{aligned}"
    )
    softmax = pullback.derive("P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])").jacobian()
    assert softmax.structure is not None
    assert softmax.structure.text.latex == (
        r"\operatorname*{blockdiag}_{n}\left(\operatorname{diag}\left(P_{n}\right) - "
        r"P_{n} \, P_{n}^{\top}\right)"
    )
    assert softmax._repr_latex_().startswith(r"$$\begin{aligned}")


def test_at_arrays_it_is_the_operator() -> None:
    derivation = pullback.derive(two_layers, X="N D", W="D M", V="M K")
    J = derivation.jacobian("Y", "X").at(X=X, W=W, V=V)
    wanted = by_differences(mlp, (X, W, V), 0)
    np.testing.assert_allclose(J.dense(), wanted, rtol=1e-6, atol=1e-7)
    expect_products(J, J.dense())
    assert J.text == "blockdiag_n(Vᵀ diag(1(S[n] > 0)) Wᵀ)"
    assert J.where == ("S[n,m] = sum(d) X[n,d]*W[d,m]",)


def test_intermediate_values_on_either_side() -> None:
    derivation = pullback.derive(two_layers, X="N D", W="D M", V="M K")
    parts = [derivation.jacobian(*ends) for ends in (("Y", "H"), ("H", "S"), ("S", "X"))]
    assert [part.text for part in parts] == ["I_N ⊗ Vᵀ", "diag(1(S > 0))", "I_N ⊗ Wᵀ"]
    outer, mask, inner = (
        parts[0].at(V=V, N=3), parts[1].at(S=X @ W), parts[2].at(W=W, N=3)
    )  # fmt: skip
    chain = outer @ mask @ inner
    whole = derivation.jacobian("Y", "X").at(X=X, W=W, V=V)
    np.testing.assert_allclose(chain.dense(), whole.dense(), atol=1e-12)
    assert derivation.jacobian("S", "V").kind == "zero"


def test_a_recurrence_is_a_composition() -> None:
    J = pullback.derive("A[]; X[T]\nH[t] = A[]*H[t-1]*[1 <= t] + X[t]").jacobian("H", "X")
    assert J.kind == "composition" and J.formula == ""
    assert "because:  the backward pass is a recurrence" in str(J)
    assert "along:    t_H[t] = A*t_H[t-1]*[1 <= t] + t_X[t]" in str(J)
    at = J.at(A=0.5, T=4)
    wanted = np.tril(0.5 ** np.maximum(np.subtract.outer(np.arange(4), np.arange(4)), 0))
    np.testing.assert_allclose(at.dense(), wanted)
    expect_products(at, wanted)
    with pytest.raises(ArgumentError, match="own elements"):
        pullback.derive("X[T]\nH[t] = 0.5*H[t-1]*[1 <= t] + X[t]\nY[t] = H[t]**2").jacobian(
            "Y", "H"
        )


def test_unrolled_steps_are_back_propagation_through_time() -> None:
    A, x = RNG.normal(size=(2, 2)), RNG.normal(size=(3, 2))

    def steps(x: Any, A: Any) -> Any:
        h = np.zeros(2)
        for t in range(3):
            h = np.tanh(A @ h + x[t])
        return h

    J = pullback.jacobian(steps)(x, A)
    np.testing.assert_allclose(J.dense(), by_differences(steps, (x, A), 0), atol=1e-9)
    assert "A diag(1 - h_1**2) A diag(1 - h**2)" in J.text


def test_conventions_are_kept() -> None:
    halfway = pullback.derive("Y[i] = relu(X[i])", conventions={"maximum": "half"})
    J = halfway.jacobian("Y", "X").at(X=np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(np.diag(J.dense()), [0, 0.5, 1])


def test_known_arrays_need_not_be_given() -> None:
    held = np.arange(3.0)
    derivation = pullback.derive(lambda x: x * held, x=(3,))
    np.testing.assert_array_equal(derivation.jacobian().at(x=np.ones(3)).dense(), np.diag(held))


def test_what_is_missing_or_wrong_is_refused() -> None:
    J = AFFINE.jacobian("Y", "X")
    with pytest.raises(ArgumentError, match="no such value for output"):
        AFFINE.jacobian("Q", "X")
    with pytest.raises(ArgumentError, match="no such value for wrt"):
        AFFINE.jacobian("Y", "Q")
    with pytest.raises(ArgumentError, match="by itself is the identity"):
        AFFINE.jacobian("Y", "Y")
    with pytest.raises(ArgumentError, match="has no values yet for") as error:
        J.at()
    assert "W=..." in str(error.value)
    with pytest.raises(ArgumentError, match="N=") as error:
        J.at(W=W)
    assert "the shape of X tells the size N" in str(error.value)
    with pytest.raises(ArgumentError, match="did you mean Y"):
        AFFINE.jacobian("y", "X")
    with pytest.raises(ArgumentError, match="there is no input Q"):
        J.at(Q=1)
    with pytest.raises(ShapeError):
        J.at(X=np.ones((3, 3)), W=W)
    with pytest.raises(ArgumentError, match="wrong dtype"):
        J.at(X=X, W=W.astype(complex))
    gather = pullback.derive("x[N]; i: int[K]\nY[k] = x[i[k]]").jacobian(wrt="x")
    assert gather.at(x=np.ones(3), i=np.array([2, 0])).dense().tolist() == [[0, 0, 1], [1, 0, 0]]
    with pytest.raises(PositionError):
        gather.at(x=np.ones(3), i=np.array([3, 0]))
    with pytest.raises(ArgumentError, match="no size Q"):
        J.picture(Q=3)


def test_pictures_at_small_sizes() -> None:
    J = AFFINE.jacobian("Y", "X")
    assert J.blocks(N=2, D=2, M=1) == "██  \n  ██"
    assert J.picture().startswith("<svg")
    with pytest.raises(ShapeError, match="no picture at these sizes"):
        pullback.derive("Y[h] = sum(k) X[h+k]*W[k]").jacobian().picture(H=2, K=5)


def test_memory_accounts_have_a_name_of_their_own() -> None:
    (avoided, *_) = AFFINE.avoided_jacobians
    assert (avoided.output.name, avoided.input.name) == ("Y", "X")
    assert not hasattr(AFFINE, "jacobians")


def test_nothing_of_it_is_loaded_before_it_is_asked_for() -> None:
    code = """
import sys, numpy as np, pullback
pullback.grad(lambda x: (x**2).sum())(np.ones(2))
pullback.derive("Y[i] = exp(X[i])").verify()
assert not [name for name in sys.modules if name.startswith("pullback.jacobians")]
pullback.jacobian(np.exp)(np.ones(2))
assert "scipy" not in sys.modules
"""
    source = str(Path(pullback.__file__).parent.parent)
    environment = {"PYTHONPATH": source, "PYTHONIOENCODING": "utf-8"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_power_of_a_name_with_a_superscript_stands_in_parentheses() -> None:
    text = pullback.layers.lstm_cell().derive().jacobian("H", "X").latex()
    assert r"\left(t^{(3)}_{n}\right)^{2}" in text and not re.search(
        r"\^\{[^{}]*\}(_\{[^{}]*\})?\^", text
    )

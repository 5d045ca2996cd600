"""Gradients that are derived again, and the pushforward as formulas."""

from __future__ import annotations

import pickle
import re
import unicodedata
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import ArgumentError, PullbackError
from pullback.notation.latex import latex, latex_name
from pullback.notation.parse import parse
from pullback.notation.terminal import terminal

from .oracles import by_differences

RNG = np.random.default_rng(5)
TEXT = "L[] = sum(m) v[m]*tanh(sum(d) W[m,d]*x[d])"
NETWORK = pullback.derive(TEXT)
V, W, X = RNG.normal(size=4), RNG.normal(size=(4, 3)), RNG.normal(size=3)


def network(v: Any, W: Any, x: Any) -> Any:
    return (v * np.tanh(W @ x)).sum()


def penalty(v: Any, W: Any, x: Any) -> Any:
    """‖∂L/∂x‖², the gradient by hand."""
    return ((W.T @ (v * (1 - np.tanh(W @ x) ** 2))) ** 2).sum()


def test_a_gradient_is_a_program() -> None:
    gradient = NETWORK.gradient("x")
    assert (gradient.name, [str(n) for n in gradient.shape], gradient.dtype) == (
        "dx",
        ["D"],
        "float",
    )
    assert gradient.of.name == "x"
    assert str(gradient) == (
        "t2[m] = tanh(sum(d) W[m,d]*x[d])\n"
        "dt1[m] = v[m]*(1 - t2[m]**2)\n"
        "dx[d] = sum(m) dt1[m]*W[m,d]"
    )
    assert repr(gradient) == "<Gradient dx (D) of x>"
    assert [t.name for t in gradient.program.inputs] == ["v", "W", "x"]  # the upstream is 1
    affine = pullback.derive("Y[n,m] = sum(d) X[n,d]*W[d,m]").gradient("X")
    assert [t.name for t in affine.program.inputs] == ["X", "W", "dY"]


@pytest.mark.parametrize("made", [NETWORK, pullback.derive(network, v="M", W="M D", x="D")])
def test_the_gradient_penalty_by_the_weights(made: Any) -> None:
    found = made.gradient("x").derive(wrt=("W", "v"), of="P[] = sum(d) dx[d]**2")
    assert found.verify().passed
    forward, backward = found.compile()
    P, cache = forward(V, W, X)
    np.testing.assert_allclose(P, penalty(V, W, X), rtol=1e-12)
    dW, dv = backward(1.0, cache)
    np.testing.assert_allclose(dW, by_differences(penalty, (V, W, X), 1), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(dv, by_differences(penalty, (V, W, X), 0), rtol=1e-8, atol=1e-8)


def test_a_loss_with_its_penalty() -> None:
    """What follows reads forward values and brings inputs of its own."""
    found = NETWORK.gradient("x").derive(wrt="W", of="P[] = L + a[]*sum(d) c[d]*dx[d]**2")
    assert [t.name for t in found.backward.program.inputs] == ["v", "W", "x", "a", "c"]
    assert found.verify().passed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_computed_from_a_gradient_has_its_dtype(dtype: str) -> None:
    x = np.array([0.5, -1.0, 2.0], dtype)
    penalty = pullback.derive(lambda x: np.tanh(x).sum(), x=x).gradient("x")
    made = penalty.derive(of="P[] = sum(i) dx[i]**2")
    assert "float" not in made.formula("x")
    forward, backward = made.compile()
    P, cache = forward(x)
    assert P.dtype == dtype and backward(np.ones((), dtype), cache)[0].dtype == dtype


def test_a_gradient_with_its_upstream_gradient() -> None:
    layer = pullback.derive("Y[n,m] = tanh(sum(d) X[n,d]*W[d,m])").gradient("X").derive()
    assert [t.name for t in layer.backward.wrt] == ["X", "W", "dY"]
    assert [t.name for t in layer.backward.gradients] == ["d2X", "dW", "ddY"]
    assert layer.verify().passed
    assert pickle.loads(pickle.dumps(layer)).formulas() == layer.formulas()


def test_what_cannot_be_derived_again() -> None:
    gradient = NETWORK.gradient("x")
    with pytest.raises(ArgumentError, match="no input 'q'"):
        gradient.derive(wrt="q")
    with pytest.raises(ArgumentError, match="dx is defined already"):
        gradient.derive(of="dx[d] = 2*x[d]")
    with pytest.raises(ArgumentError, match="index notation"):
        gradient.derive(of=3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="nothing to give shapes for"):
        gradient.derive(a="N")
    with pytest.raises(ArgumentError, match="the shape of v is known"):
        gradient.derive(of="P[] = sum(m) v[m]", v="M")
    with pytest.raises(PullbackError):
        gradient.derive(of="P[] = sum(d,e) dx[d,e]")
    with pytest.raises(ArgumentError, match="doesn't read the gradient dx") as error:
        gradient.derive(of="P[] = sum(d) dX[d]**2")  # else dX would be an input of its own
    assert "did you mean dx?" in str(error.value)
    with pytest.raises(ArgumentError, match="doesn't read the gradient dx"):
        gradient.derive(of="P[] = sum(d) x[d]**2")
    with pytest.raises(ArgumentError, match="nothing was derived") as error:
        NETWORK.gradient("q")
    assert "hint" not in str(error.value)
    with pytest.raises(ArgumentError, match="derive by it, too: wrt='b'"):
        pullback.derive("y[i] = a[i]*b[i]", wrt="a").gradient("b")


# --------------------------------------------------------------------------------------------------
# Names, and how long high orders are


def mlp(w: Any, X: Any, V: Any) -> Any:
    H = np.tanh(X @ w)
    return np.tanh(H @ V).sum()


def test_the_fourth_derivative_is_not_much_longer_than_the_first() -> None:
    made = pullback.derive(mlp, w="D M", X="N D", V="M K", wrt="w")
    counts = [len(made.gradient("w").program.statements)]
    names = [made.gradient("w").name]
    for order in (2, 3, 4):
        gradient = made.gradient("w")
        along = f"Q{order}[] = sum(i,j) c{order}[i,j]*{gradient.name}[i,j]"
        made = gradient.derive(wrt="w", of=along)
        counts.append(len(made.gradient("w").program.statements))
        names.append(made.gradient("w").name)
    assert names == ["dw", "d2w", "d3w", "d4w"]
    assert counts[3] <= 10 * counts[0]  # 40 and 5 statements
    assert counts == sorted(counts)
    text = made.source()
    assert "np.array(1" not in text and not re.search(r"\b1 \* ", text)

    rng = np.random.default_rng(0)
    w, X, V = (rng.normal(size=s) * 0.5 for s in ((2, 3), (4, 2), (3, 2)))
    along = [rng.normal(size=(2, 3)) for _ in range(3)]

    def third(w: Any) -> Any:
        """The third derivative along the directions, by JAX's way: gradients in gradients."""
        f = lambda w: mlp(w, X, V)  # noqa: E731
        for direction in along:
            f = lambda w, f=f, c=direction: (pullback.grad(f)(w) * c).sum()  # noqa: E731
        return f(w)

    forward, backward = made.compile()
    value, cache = forward(w, X, V, *along)
    np.testing.assert_allclose(value, third(w), rtol=1e-9)
    np.testing.assert_allclose(
        backward(1.0, cache), by_differences(third, (w,), 0, 1e-3), rtol=1e-5, atol=1e-5
    )


def test_a_gradient_in_a_traced_function_has_no_seed() -> None:
    def second(x: Any, W: Any, v: Any) -> Any:
        loss = lambda x: (np.tanh(W @ x) * v).sum()  # noqa: E731
        return (pullback.grad(loss)(x) ** 2).sum()

    made = pullback.derive(second, x="D", W="M D", v="M")
    text = made.source()
    assert "np.array(1" not in text and not re.search(r"\b1 \* ", text)
    assert "dt1 = v * t3" in text
    assert [t.name for t in made.backward.gradients] == ["d2x", "dW", "dv"]
    assert made.verify().passed
    for kind in (np.float32, np.float64):
        arrays = [a.astype(kind) for a in (X, W, V)]
        for slot in range(3):
            assert pullback.grad(second, slot)(*arrays).dtype == kind


def test_a_gradient_that_is_constant_keeps_its_dtype() -> None:
    x = np.ones(3, np.float32)
    found = pullback.vjp(lambda x: pullback.grad(lambda x: x.sum())(x) * x, x)[0]
    assert found.dtype == np.float32 and found.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "tex", "shown"),
    [
        ("d2w", r"\mathrm{d}^{2}w", "d²w"),
        ("ddX", r"\mathrm{d}\mathrm{d}X", "ddX"),
        ("d3dH", r"\mathrm{d}^{3}\mathrm{d}H", "d³dH"),
        ("d2t1", r"\mathrm{d}^{2}t_{1}", "d²t₁"),
        ("d2", "d_{2}", "d₂"),
    ],
)
def test_orders_of_gradients_are_drawn(name: str, tex: str, shown: str) -> None:
    assert latex_name(name) == tex
    assert terminal(parse(f"Y[i] = {name}[i]").statements[0]) == f"Y[i] = {shown}[i]"


@pytest.mark.parametrize(
    ("body", "tex"),
    [
        ("-(w[n] + 3)", r"-\left(w_{n} + 3\right)"),
        ("-(w[n] - z[n])", r"-\left(w_{n} - z_{n}\right)"),
        ("-(w[n] + sum(d) X[n,d])", r"-\left(w_{n} + \sum_{d} X_{n,d}\right)"),
    ],
)
def test_a_negated_sum_keeps_its_parentheses(body: str, tex: str) -> None:
    statement = parse(f"Y[n] = {body}").statements[0]
    assert latex(statement.body) == tex
    assert "−(" in terminal(statement)


# --------------------------------------------------------------------------------------------------
# The pushforward

PROGRAMS = [
    "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
    "P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])",
    "H[n,m] = tanh(sum(d) X[n,d]*W[d,m])\nY[n,k] = sum(m) H[n,m]*V[m,k]",
    "mu[n] = mean(d) X[n,d]\nv[n] = mean(d) (X[n,d] - mu[n])**2\n"
    "Y[n,d] = (X[n,d] - mu[n])/sqrt(v[n] + 0.1)",
    "Y[i] = max(x[i], 0)",
    "a[i] = exp(x[i])\nb[] = sum(i) a[i]*y[i]\nreturn a, b",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_tangents_as_formulas_are_what_jvp_computes(text: str) -> None:
    """The formulas, read again as index notation, and the forward pass in front of them."""
    made = pullback.derive(text)
    found = made.pushforward()
    rng = np.random.default_rng(1)
    sizes = {n: k + 2 for k, n in enumerate("NMDKCI")}
    arrays, along = (
        {
            t.name: rng.normal(size=[sizes[str(n)] for n in t.shape])
            for t in made.backward.program.inputs
        }
        for _ in range(2)
    )
    function = pullback.define(text)
    order = [arrays[n] for n in function.inputs]
    _, wanted = pullback.jvp(function, tuple(order), tuple(along[n] for n in function.inputs))
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("return"))
    outputs = ", ".join(t.name for t in found.outputs)
    again = pullback.define(f"{lines}\n{found}\nreturn {outputs}")
    given = {**arrays, **{f"t_{n}": v for n, v in along.items()}}
    values = again(**{n: given[n] for n in again.inputs})
    values = values if isinstance(values, tuple) else (values,)
    for value, right in zip(values, wanted, strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-12, atol=1e-12)


def test_the_text_of_a_pushforward() -> None:
    affine = pullback.derive(PROGRAMS[0]).pushforward()
    assert str(affine) == "t_Y[n,m] = sum(d) X[n,d]*t_W[d,m] + sum(d) W[d,m]*t_X[n,d] + t_b[m]"
    assert affine.formulas() == {"Y": str(affine)}
    dots = unicodedata.normalize("NFC", affine.formula(matrix=True))
    assert dots == "Ẏ = X Ẇ + Ẋ W + \N{MATHEMATICAL BOLD DIGIT ONE} ḃᵀ"
    assert r"\dot{Y}_{n,m} &= " in affine.latex()
    assert [t.name for t in affine.tangents] == ["t_X", "t_W", "t_b"]
    two = pullback.derive(PROGRAMS[-1]).pushforward()
    assert list(two.formulas()) == ["a", "b"] and two.formula("t_a") == two.formula("a")
    assert repr(two) == "<Pushforward to t_a, t_b: 2 statements>"
    with pytest.raises(ArgumentError, match="several results"):
        two.formula()
    with pytest.raises(ArgumentError, match="no such result"):
        two.formula("q")
    relu = pullback.derive("Y[i] = max(x[i], 0)").pushforward()
    assert str(relu) == "t_Y[i] = t_x[i]*[0 < x[i]]"

"""The red pen: the term that is wrong, by name, and nothing where no single mistake fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.ir.interpret import run
from pullback.verify.redpen.mistake import Mistake
from pullback.verify.written import check_backward

RNG = np.random.default_rng(11)
X, G, B = RNG.normal(size=(4, 6)), RNG.normal(size=6), RNG.normal(size=6)
W, SQUARE = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 6))


def told(forward: Any, backward: Any, *args: Any, **options: Any) -> dict[str, Mistake | None]:
    """The mistake by gradient, None for one that fails without a name."""
    report = check_backward(forward, backward, *args, **options)
    assert not report.passed and "fault of pullback" not in str(report)
    found: dict[str, Mistake | None] = {}
    for c in report.failures:
        name = c.what.removeprefix("gradient of ")
        found[name] = found.get(name) or c.mistake
    return found


def mean(array: Any, axis: int = 1) -> Any:
    return array.mean(axis, keepdims=True)


def layer_norm(X: Any, gamma: Any, beta: Any) -> Any:
    centred = X - mean(X)
    rstd = 1 / np.sqrt(mean(centred**2) + 1e-5)
    xhat = centred * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


def norm_backward(
    dX: Callable[..., Any] | None = None, dgamma: Callable[..., Any] | None = None
) -> Any:
    """The backward pass of layer norm with another formula for one gradient."""

    def backward(dY: Any, cache: Any) -> Any:
        xhat, rstd, gamma = cache
        d = dY * gamma
        right = rstd * (d - mean(d) - xhat * mean(d * xhat))
        return (
            right if dX is None else dX(dY, d, xhat, rstd),
            (dY * xhat).sum(0) if dgamma is None else dgamma(dY, xhat),
            dY.sum(0),
        )

    return backward


def without_eps(dY: Any, d: Any, xhat: Any, rstd: Any) -> Any:
    bare = 1 / np.sqrt(1 / rstd**2 - 1e-5)
    xhat = xhat / rstd * bare
    return bare * (d - mean(d) - xhat * mean(d * xhat))


def softmax(X: Any) -> Any:
    e = np.exp(X - X.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def kl(mu: Any, logvar: Any) -> Any:
    return 0.5 * np.sum(np.exp(logvar) + mu**2 - 1 - logvar)


def gated(X: Any, gate: Any, W: Any) -> Any:
    y = X / np.sqrt(mean(X**2) + 1e-6)
    yg = y * (gate / (1 + np.exp(-gate)))
    return yg @ W


def gated_backward(dO: Any, X: Any, gate: Any, W: Any) -> Any:
    r = 1 / np.sqrt(mean(X**2) + 1e-6)
    y, s = X * r, 1 / (1 + np.exp(-gate))
    dyg = dO @ W.T
    dy = dyg * gate * s
    dgate = dyg * y * (s + gate * s * (1 - s))
    return r * (dy - y * mean(dy * y)), dgate, y.T @ dO


def attention(Q: Any, K: Any, V: Any) -> Any:
    P = softmax(Q @ K.T / np.sqrt(Q.shape[1]))
    return P @ V


def attention_backward(mistake: str) -> Any:
    def backward(dO: Any, Q: Any, K: Any, V: Any) -> Any:
        P = softmax(Q @ K.T / np.sqrt(Q.shape[1]))
        dP = dO @ V.T
        dA = P * (dP - (P * dP).sum(1, keepdims=True))
        scale = 1 if mistake == "scale" else np.sqrt(Q.shape[1])
        dV = P @ dO if mistake == "P" else P.T @ dO
        return dA @ K / scale, dA.T @ Q / scale, dV

    return backward


def inverse(p: Any) -> Any:
    d = p[0] * p[2] - p[1] * p[1]
    return np.stack([p[2] / d, -p[1] / d, p[0] / d])


def inverse_backward(dY: Any, p: Any) -> Any:
    S = np.array([[p[2], -p[1]], [-p[1], p[0]]]) / (p[0] * p[2] - p[1] * p[1])
    M = -S @ np.array([[dY[0], dY[1] / 2], [dY[1] / 2, dY[2]]]) @ S
    return np.array([M[0, 0], M[0, 1], M[1, 1]])


def schools(mu: Any, logtau: Any, theta: Any, y: Any, sigma: Any) -> Any:
    prior = -0.5 * np.sum((theta - mu) ** 2) / np.exp(2 * logtau) - len(theta) * logtau
    return prior - 0.5 * np.sum(((y - theta) / sigma) ** 2)


def schools_backward(dL: Any, mu: Any, logtau: Any, theta: Any, y: Any, sigma: Any) -> Any:
    over, off = np.exp(-2 * logtau), theta - mu
    return (
        dL * np.sum(off) * over,
        dL * np.sum(off**2) * over,  # - len(theta) is left out
        dL * ((y - theta) / sigma**2 - off * over),
        -dL * (y - theta) / sigma**2,
        dL * (y - theta) ** 2 / sigma**3,
    )


QKV = tuple(RNG.normal(size=(3, 3, 4)))
Said = tuple[str, str, str, str]  # the gradient, the kind, and the two coefficients or parts

TABLE: dict[str, tuple[tuple[Any, ...], Said]] = {
    "the mean is subtracted twice": (
        (layer_norm, norm_backward(lambda dY, d, h, r: r * (d - 2 * mean(d) - h * mean(d * h))),
         X, G, B),
        ("X", "coefficient", "−2", "−1"),
    ),
    "sum for mean": (
        (layer_norm, norm_backward(
            lambda dY, d, h, r: r * (d - mean(d) - h * (d * h).sum(1, keepdims=True))), X, G, B),
        ("X", "coefficient", "D", "1"),
    ),
    "no gamma": (
        (layer_norm, norm_backward(lambda dY, d, h, r: r * (dY - mean(dY) - h * mean(dY * h))),
         X, G, B),
        ("X", "factor", "1", "gamma[d]"),
    ),
    "no eps": (
        (layer_norm, norm_backward(without_eps), X, G, B), ("X", "coefficient", "0", "1e-5"),
    ),
    "wrong axis": (
        (layer_norm, norm_backward(lambda dY, d, h, r: r * (d - mean(d, 0) - h * mean(d * h))),
         X, G, B),
        ("X", "axis", "", ""),
    ),
    "dgamma over the wrong axis": (
        (layer_norm, norm_backward(None, lambda dY, h: (dY * h).sum(1)), X, G, B),
        ("gamma", "axis", "", ""),
    ),
    "doubled": (
        (lambda X, W: X @ W, lambda dY, X, W: (dY @ W.T, 2 * X.T @ dY), X[:, :3],
         RNG.normal(size=(3, 2))),
        ("W", "coefficient", "2", "1"),
    ),
    "W for its transpose": (
        (lambda X, W: X @ W, lambda dY, X, W: (dY @ W, X.T @ dY), X, SQUARE),
        ("X", "order", "W[d,i]", "W[i,d]"),
    ),
    "half of a constant term": (
        (kl, lambda dL, mu, v: (dL * mu, dL * (0.5 * np.exp(v) - 0.25)), X, X[::-1].copy()),
        ("logvar", "coefficient", "−0.25", "−0.5"),
    ),
    "only the diagonal": (
        (softmax, lambda dY, X: softmax(X) * (1 - softmax(X)) * dY, X),
        ("X", "sum", "Y[n,d]*dY[n,d]", "sum(d2) Y[n,d2]*dY[n,d2]"),
    ),
    "x for y": (
        (lambda X: np.tanh(X), lambda dY, X: dY * (1 - X**2), X),
        ("X", "operand", "X[n,d]", "Y[n,d]"),
    ),
    "the value before the gate": (
        (gated, gated_backward, X, RNG.normal(size=(4, 6)), W),
        ("W", "operand", "y[n,d]", "yg[n,d]"),
    ),
    "P for its transpose": (
        (attention, attention_backward("P"), *QKV), ("V", "order", "P[i,n]", "P[n,i]"),
    ),
    "no scale": (
        (attention, attention_backward("scale"), *QKV), ("Q", "factor", "1", "1/sqrt(M)"),
    ),
    "a path overwritten": (
        (lambda X, W: X + np.tanh(X @ W),
         lambda dY, X, W: ((dY * (1 - np.tanh(X @ W) ** 2)) @ W.T,
                           X.T @ (dY * (1 - np.tanh(X @ W) ** 2))), X, SQUARE),
        ("X", "coefficient", "0", "1"),
    ),
    "half of one element": (
        (inverse, inverse_backward, np.array([2.0, 0.3, 1.0])),
        ("p", "coefficient", "−0.5", "−1"),
    ),
    "a term of a scalar's gradient": (
        (schools, schools_backward, 0.3, 0.2, *RNG.normal(size=(2, 8)),
         RNG.uniform(0.5, 2, size=8)),
        ("logtau", "coefficient", "0", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_common_mistakes_are_named(name: str) -> None:
    call, (gradient, kind, found, right) = TABLE[name]
    mistake = told(*call)[gradient]
    assert mistake is not None
    assert mistake.kind == kind, str(mistake)
    for given, expected in ((mistake.found, found), (mistake.right, right)):
        assert expected in ("", given), str(mistake)
    assert mistake.line.startswith(f"{mistake.statement}") and "=" in mistake.line
    assert mistake.text in str(mistake)


def test_a_named_mistake_holds_at_other_sizes_and_values() -> None:
    """Both formulas of a mistake, by the interpreter, against the two functions themselves."""
    backward = norm_backward(lambda dY, d, h, r: r * (d - 2 * mean(d) - h * mean(d * h)))
    mistake = told(layer_norm, backward, X, G, B)["X"]
    assert mistake is not None
    for n, d in ((2, 9), (5, 4), (7, 3)):
        rng = np.random.default_rng(n)
        args = rng.normal(size=(n, d)), rng.normal(size=d), rng.normal(size=d)
        _, cache = layer_norm(*args)
        dY = rng.normal(size=(n, d))
        names = [t.name for t in mistake.correct.inputs]
        given = dict(zip(names, (*args, dY), strict=True))
        for program, function in (
            (mistake.correct, norm_backward()),
            (mistake.wrong, backward),
        ):
            found = run(program, given)[program.outputs[0].name]
            expected = function(dY, cache)[0]
            assert np.allclose(np.reshape(found.flat, found.shape), expected, rtol=1e-9)


def test_the_smallest_shape_shows_the_mistake() -> None:
    mistake = told(lambda X, W: X @ W, lambda dY, X, W: (dY @ W, X.T @ dY), X, SQUARE)["X"]
    assert mistake is not None and sorted(mistake.smallest.values()) == [1, 2]


def test_corrected_lines_are_index_notation_and_numpy() -> None:
    mistake = told(lambda X: np.tanh(X), lambda dY, X: dY * (1 - X**2), X)["X"]
    assert mistake is not None
    assert mistake.line == "dX[n,d] = dY[n,d]*(1 - Y[n,d]**2)"
    assert mistake.found_line == "dX[n,d] = dY[n,d]*(1 - X[n,d]**2)"
    assert mistake.numpy == "dX = dY * (1 - Y ** 2)"


def test_two_gradients_in_each_others_place() -> None:
    swapped = told(lambda A, C: A * C**2, lambda dY, A, C: (2 * dY * A * C, dY * C**2), X, X[::-1])
    assert {name: m and m.kind for name, m in swapped.items()} == {"A": "swapped", "C": "swapped"}


def test_index_notation_is_a_forward_pass_too() -> None:
    formula = pullback.define("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    wrong = told(
        formula, lambda dY, X, W, b: (dY @ W.T, -X.T @ dY, dY.mean(0)), X, W, RNG.normal(size=3)
    )
    assert wrong["W"] is not None and wrong["W"].text == "the sign of dW is wrong everywhere"
    assert wrong["b"] is not None and (wrong["b"].found, wrong["b"].kind) == ("1/N", "coefficient")


def test_what_no_single_mistake_explains_has_no_name() -> None:
    odd = [
        (lambda X: np.tanh(X), lambda dY, X: dY * np.cos(X + 0.3), X),
        (lambda X, W: X @ W, lambda dY, X, W: (np.sort(dY @ W.T), X.T @ dY), X, W),
        (layer_norm, norm_backward(lambda dY, d, h, r: r * (d - np.abs(h)) + 0.1), X, G, B),
    ]
    for call in odd:
        assert set(told(*call).values()) == {None}


def test_one_number_fits_any_ratio() -> None:
    """A gradient of one element: no ratio is told, only what holds at all values that are tried."""
    report = check_backward(lambda x: np.sin(x) + x**3, lambda dy, x: dy * 1.234 * x, 0.7)
    assert [c.hint for c in report.failures] == ["", ""]


def test_functions_that_run_at_the_given_sizes_only() -> None:
    def fixed(X: Any, W: Any) -> Any:
        assert X.shape == (4, 6) and W.shape == (6, 3)
        return X @ W

    mistake = told(fixed, lambda dY, X, W: (-dY @ W.T, X.T @ dY), X, W)["X"]
    assert mistake is not None and mistake.kind == "coefficient" and mistake.found == "−1"


def test_wrt_chooses_and_hyper_parameters_are_not_demanded() -> None:
    def forward(X: Any, scale: Any, eps: float) -> Any:
        return X * scale / np.sqrt(X**2 + eps)

    def backward(dY: Any, X: Any, scale: Any, eps: float) -> Any:
        root = np.sqrt(X**2 + eps)
        return dY * scale * eps / root**3, (dY * X / root).sum(0)

    report = check_backward(forward, backward, X, G, 0.1)
    assert report.passed, str(report)
    assert any("eps" in note for note in report.notes)
    one = check_backward(forward, lambda dY, *a: backward(dY, *a)[0], X, G, 0.1, wrt="X")
    assert one.passed and {c.what for c in one.comparisons} == {"gradient of X"}
    asked = check_backward(forward, lambda *a: {"dX": backward(*a)[0]}, X, G, 0.1, wrt=["X", "eps"])
    assert [c.what for c in asked.failures] == ["gradient of eps"]
    with pytest.raises(pullback.errors.ArgumentError, match="no argument 'Z'"):
        check_backward(forward, backward, X, G, 0.1, wrt="Z")


def mlp(x: Any, W1: Any, b1: Any, W2: Any) -> Any:
    h = np.maximum(x @ W1 + b1, 0)
    return h @ W2


def mlp_backward(dout: Any, x: Any, W1: Any, b1: Any, W2: Any) -> Any:
    z = x @ W1 + b1
    dh = dout @ W2.T  # the mask is left out
    return dh @ W1.T, x.T @ dh, dh.sum(0), z.T @ dout  # z stands for h


MLP = (RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4),
       RNG.normal(size=(4, 2)))  # fmt: skip


def test_values_without_a_name_are_spelled_out() -> None:
    """A person who reads `t2` or `dt2` has no such name; that of the result is explained, too."""
    found = told(mlp, mlp_backward, *MLP)
    text = {name: m and m.text for name, m in found.items()}
    mask = "the mask `[0 < h[n,m]]` is missing in dt2"
    instead = "`sum(d) x[n,d]*W1[d,m] + b1[m]` stands where `h[n,m]` should"
    assert text == {"x": mask, "W1": mask, "b1": mask, "W2": instead}
    assert found["x"] is not None and found["x"].names == (
        "dt2 is the gradient of t2[n,m] = sum(d) x[n,d]*W1[d,m] + b1[m]",
    )
    assert found["W2"] is not None and found["W2"].names == (
        "Y is what the forward pass returns, dY its gradient",
        "t2[n,m] = sum(d) x[n,d]*W1[d,m] + b1[m]",
    )
    report = str(check_backward(mlp, mlp_backward, *MLP))
    assert report.count("is missing in dt2") == 3 and report.count("is        dt2[n,m]") == 1
    assert "as for the gradient of x: the mask" in report


def cross_entropy(logits: Any, y: Any) -> Any:
    z = logits - logits.max(1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -logp[np.arange(len(y)), y].mean()


def windows(x: Any, w: Any) -> Any:
    n = x.shape[1] - len(w) + 1
    return sum(w[k] * x[:, k : k + n] for k in range(len(w)))


def windows_backward(dY: Any, x: Any, w: Any) -> Any:
    n, dx, dw = x.shape[1] - len(w) + 1, np.zeros_like(x), np.zeros_like(w)
    for k in range(len(w)):
        dx[:, k : k + n] += dY * w[k]
        dw[k] = (dY * x[:, k : k + n]).sum() / len(x)
    return dx, dw


def test_sizes_are_told_from_numbers_where_only_some_can_be_changed() -> None:
    """Labels have to have as many elements as there are rows; a Python loop fixes its extent."""
    labels = np.array([0, 2, 1, 4])
    entropy = told(
        cross_entropy, lambda dL, x, y: dL * (softmax(x) - np.eye(x.shape[1])[y]),
        RNG.normal(size=(4, 5)), labels,
    )["logits"]  # fmt: skip
    assert entropy is not None and (entropy.found, entropy.right) == ("N", "1")
    mean_for_sum = told(windows, windows_backward, RNG.normal(size=(4, 7)), RNG.normal(size=3))["w"]
    assert mean_for_sum is not None and mean_for_sum.found == "1/N"
    assert mean_for_sum.text == "dw is 1/N times what it should be (a mean for a sum)"
    assert "N = x.shape[0]" in mean_for_sum.names[-1]


def test_a_term_that_is_zero_in_some_runs_is_told_from_the_others() -> None:
    """A unit that is off in a run says nothing of its coefficient."""

    def forward(x: Any, W: Any) -> Any:
        return np.maximum(x @ W - 0.5, 0)

    def backward(dY: Any, x: Any, W: Any) -> Any:
        d = dY * (x @ W > 0.5)
        return d @ W.T, x.T @ d / len(x)

    args = RNG.normal(size=(6, 3)), RNG.normal(size=(3, 2))
    for seed in range(4):
        mistake = told(forward, backward, *args, seed=seed)["W"]
        assert mistake is not None and mistake.found == "1/N", seed


def test_a_forward_value_is_named_as_the_one_that_the_backward_pass_uses() -> None:
    def backward(dO: Any, Q: Any, K: Any, V: Any) -> Any:
        P, scale = softmax(Q @ K.T / np.sqrt(Q.shape[1])), np.sqrt(Q.shape[1])
        dP = dO @ V.T
        dS = P * (dP - dP.sum(1, keepdims=True))
        return dS @ K / scale, dS.T @ Q / scale, P.T @ dO

    mistake = told(attention, backward, *QKV)["Q"]
    assert mistake is not None and mistake.text.startswith("the factor `P[")
    assert mistake.text.endswith(" in Y that the backward pass uses")
    assert any(name.startswith(("dS[", "dt")) for name in mistake.names)


def test_cotangents_of_several_results_one_by_one() -> None:
    """As people write a cell of a recurrent network: backward(dh, dc, x, W)."""

    def cell(x: Any, W: Any) -> Any:
        c = x @ W
        h = np.tanh(c)
        return h, c

    def backward(dh: Any, dc: Any, x: Any, W: Any) -> Any:
        d = dc + dh * (1 - np.tanh(x @ W) ** 2)
        return d @ W.T, x.T @ d

    assert check_backward(cell, backward, X, W).passed
    mistake = told(cell, lambda dh, dc, x, W: backward(dh, 0 * dc, x, W), X, W)["x"]
    assert mistake is not None and mistake.text == "the term `dc[n,m]` is missing in dc2"
    assert "dc2 is the gradient of c over all paths" in mistake.names
    with pytest.raises(pullback.errors.ArgumentError, match="cache=False if it is a result"):
        check_backward(cell, lambda dY, x, W, a, b: None, X, W)


def test_a_fault_while_looking_for_the_mistake_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise KeyError("t1")

    monkeypatch.setattr("pullback.verify.redpen.pen.prepare", broken)
    report = check_backward(lambda X: X**2, lambda dY, X: X * dY, X)
    assert report.status == "failed" and "a fault of pullback, please report it" in str(report)


def test_a_forward_pass_that_fails_on_traced_arrays_is_checked_by_differences() -> None:
    def forward(X: Any) -> Any:
        assert type(X) is np.ndarray
        return X**2

    report = check_backward(forward, lambda dY, X: 2 * X * dY, X)
    assert report.passed and "it raises AssertionError" in report.notes[0]


def test_a_report_with_a_mistake_is_json_and_the_same_each_time() -> None:
    call = TABLE["the mean is subtracted twice"][0]
    one, other = check_backward(*call), check_backward(*call)
    assert one.to_json() == other.to_json() and str(one) == str(other)
    assert '"kind": "coefficient"' in one.to_json()

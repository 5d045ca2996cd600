"""define and derive: index notation as functions, derivations as pairs of functions."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback
from pullback import (
    ArgumentError,
    Derivation,
    NotationError,
    PullbackError,
    ShapeError,
    TraceError,
    define,
    derive,
    grad,
    jvp,
    vjp,
)
from tests.differences import Array, close, differences

RNG = np.random.default_rng(11)
AFFINE = "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]"


def draw(*shape: int) -> Array:
    return RNG.normal(size=shape)


# --- define ---


def test_arguments_by_position_and_by_name() -> None:
    affine = define(AFFINE)
    X, W, b = draw(2, 3), draw(3, 4), draw(4)
    assert close(affine(X, W, b), X @ W + b)
    assert close(affine(b=b, W=W, X=X), X @ W + b)
    assert affine.inputs == ("X", "W", "b")
    assert affine.outputs == ("Y",)
    assert str(inspect.signature(affine)) == "(X, W, b)"
    assert "X" in repr(affine)


def test_lists_and_integers_are_welcome() -> None:
    double = define("Y[i] = 2*X[i]")
    assert close(double([1, 2, 3]), [2.0, 4.0, 6.0])
    assert double(np.arange(3)).dtype == np.float64
    assert define("y = x[]**2")(3) == 9.0


def test_float32_stays() -> None:
    assert define("Y[i] = exp(X[i])/3 + 1")(np.ones(2, np.float32)).dtype == np.float32


def test_several_outputs_are_a_tuple() -> None:
    both = define("E[n] = exp(S[n]); Z[] = sum(n) E[n]; return E, Z")
    E, Z = both(np.zeros(3))
    assert close(E, np.ones(3))
    assert Z == 3.0
    out, pull = vjp(both, np.zeros(3))
    assert close(pull((np.ones(3), 2.0))[0], np.full(3, 3.0))
    assert close(pull((None, 2.0))[0], np.full(3, 2.0))
    assert isinstance(out, tuple)


def test_sizes_that_no_array_tells_are_keywords() -> None:
    table = define("T[i:N, j:M] = x[]*(i + j)")
    assert table(2.0, N=2, M=3).tolist() == [[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]]
    assert grad(lambda x: table(x, N=2, M=3).sum())(2.0) == 9.0
    _, pull = vjp(lambda x: table(x, N=2, M=3), 2.0)
    assert pull(np.ones((2, 3)))[0] == 9.0
    for call in (table, grad(table), derive(table.text).compile()[0]):
        with pytest.raises(ArgumentError, match="the size M is not given") as caught:
            call(2.0, N=2)
        assert caught.value.expected == "M=..."
    for bad in (-1, 1.5, True, "3"):
        with pytest.raises(ArgumentError, match="is not a whole number"):
            table(2.0, N=2, M=bad)


def test_shapes_settle_what_the_text_leaves_open() -> None:
    row = define("Y[n,m] = X[n,m] + b[0,m]", b="1 M")
    assert row.program.inputs[1].shape[0].literal == 1
    assert close(row(np.zeros((2, 3)), np.ones((1, 3))), np.ones((2, 3)))
    with pytest.raises(ShapeError):
        row(np.zeros((2, 3)), np.ones((2, 3)))
    assert define(AFFINE, X=draw(5, 4)).program.inputs[0].shape[0].literal == 5


def test_a_kernel_larger_than_what_it_slides_over_is_refused() -> None:
    text = "Y[i,j] = sum(k,l) X[i+k,j+l]*K[k,l]"
    slide, K = define(text), draw(3, 2)
    for call in (slide, lambda X, K: vjp(slide, X, K), derive(text).compile()[0]):
        with pytest.raises(ShapeError, match="axis 0 of Y would have a negative extent") as caught:
            call(draw(1, 4), K)
        assert caught.value.found == "I - K1 + 1 = -1 at I = 1, K1 = 3"
    assert slide(draw(2, 4), K).shape == (0, 3)


def test_gradients_have_the_dtypes_of_their_inputs() -> None:
    text, X, W = "Y[n,m] = sum(d) X[n,d]*W[d,m]", np.float32(draw(2, 3)), draw(3, 4)
    forward, backward = derive(text).compile()
    for dtype in (np.float32, np.float64):
        Y, cache = forward(X, W)
        assert [g.dtype for g in backward(Y.astype(dtype), cache)] == [X.dtype, W.dtype]
    Y, pull = vjp(define(text), X, W)
    assert [g.dtype for g in pull(Y)] == [X.dtype, W.dtype]


def test_results_never_share_memory() -> None:
    both = define("Y[i] = X[i]; Z[i] = X[i]; return Y, Z")
    x = draw(4)
    Y, Z = both(x)
    for one, other in ((Y, x), (Z, x), (Y, Z)):
        assert not np.shares_memory(one, other)


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((draw(2, 3), draw(4, 5), draw(5)), ShapeError, "axis 0 of W"),
        ((draw(2, 3), draw(3, 5), draw(1)), ShapeError, "axis 0 of b"),
        ((draw(2), draw(3, 5), draw(5)), ShapeError, "number of axes"),
        ((draw(2, 3), draw(3, 5), np.array(["a"] * 5)), ArgumentError, "wrong dtype"),
        ((draw(2, 3), draw(3, 5), np.ones(5, bool)), ArgumentError, "wrong dtype"),
        ((draw(2, 3), draw(3, 5), np.ones(5, complex)), ArgumentError, "wrong dtype"),
        ((draw(2, 3), draw(3, 5), [[1.0], [1.0, 2.0]]), ArgumentError, "is not an array"),
        ((draw(2, 3), draw(3, 5), np.ma.masked_array(draw(5))), ArgumentError, "MaskedArray"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arguments: tuple[Any, ...], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        define(AFFINE)(*arguments)


def test_broadcasting_never_hides_a_wrong_shape() -> None:
    with pytest.raises(ShapeError):
        vjp(define(AFFINE), draw(2, 3), draw(3, 4), draw(1))
    with pytest.raises(ShapeError):
        grad(lambda b: define(AFFINE)(draw(2, 3), draw(3, 4), b).sum())(draw(1))


def test_integer_inputs_take_integers() -> None:
    pick = define("L[] = -mean(n) log(P[n, y[n]])")
    P = np.full((2, 3), 0.5)
    assert pick(P, [0, 2]) == pytest.approx(np.log(2))
    gradient = grad(pick)(P, np.array([0, 2]))
    assert close(gradient, [[-1, 0, 0], [0, 0, -1]])
    with pytest.raises(ArgumentError, match="wrong dtype"):
        pick(P, [0.0, 2.0])
    with pytest.raises(ArgumentError):
        grad(pick, "y")(P, np.array([0, 2]))


@pytest.mark.parametrize("wrong", [[0, 3], [-4, 0], [0, -100], [7, 0]])
def test_positions_outside_their_axis_are_refused(wrong: list[int]) -> None:
    P, y = draw(2, 3), np.array(wrong)
    pick = define("L[] = sum(n) P[n, y[n]]")

    def picked(P: Array, y: Array) -> Any:
        return P[np.arange(len(y)), y].sum()

    forward = derive(picked, P="N C", y="N: int").compile().forward
    for call in (
        lambda: pick(P, y),
        lambda: grad(pick)(P, y),
        lambda: grad(picked)(P, y),
        lambda: vjp(picked, P, y),
        lambda: jvp(picked, (P, y), (P, None)),
        lambda: forward(P, y),
    ):
        with pytest.raises(ShapeError, match="points outside") as caught:
            call()
        assert caught.value.expected == "integers from -3 to 2"


def test_negative_positions_count_from_the_end() -> None:
    P, y = draw(2, 3), np.array([-1, -3])
    assert define("L[] = sum(n) P[n, y[n]]")(P, y) == pytest.approx(P[0, 2] + P[1, 0])


IGNORING = "L[] = sum(n) [y[n] >= 0]*P[n, y[n]]"


def test_positions_behind_a_condition_may_point_anywhere() -> None:
    pick = define(IGNORING)
    P, y = draw(3, 3), np.array([1, -100, 2])
    assert pick(P=P, y=y) == pytest.approx(P[0, 1] + P[2, 2])


def test_gradients_behind_a_condition_are_not_scattered() -> None:
    P, y = draw(3, 3), np.array([1, -100, 2])
    gradient = grad(define(IGNORING), "P")(P=P, y=y)
    assert close(gradient, [[0, 1, 0], [0, 0, 0], [0, 0, 1]])


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ArgumentError, match="index notation"):
        define(lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(NotationError):
        define("Y[i] = ")


def test_formulas_have_gradients() -> None:
    inputs = draw(2, 3), draw(3, 4), draw(4)
    affine = define(AFFINE)
    out, pull = vjp(affine, *inputs)
    cotangent = draw(2, 4)
    for which, gradient in enumerate(pull(cotangent)):
        assert close(gradient, differences(affine, inputs, cotangent, which), 1e-7)
    _, moved = jvp(affine, inputs, (*np.zeros((0,)), inputs[0], None, None))
    assert close(moved, inputs[0] @ inputs[1])
    assert close(out, affine(*inputs))
    loss = define("L[] = sum(n) (sum(d) X[n,d]*w[d] - y[n])**2")
    X, w, y = draw(5, 3), draw(3), draw(5)
    assert close(grad(loss, argnums="w")(X, w=w, y=y), 2 * X.T @ (X @ w - y))


def test_formulas_inside_traced_functions() -> None:
    softmax = define("P[n,c] = exp(S[n,c]) / sum(k) exp(S[n,k])")
    mask = define("Y[i] = X[i]*[X[i] > 0]")

    def f(x: Array, w: Array) -> Any:
        return (softmax(x @ w) * np.arange(3.0)).sum() + mask(w[0]).sum() * mask(X=x[0])[0]

    def plain(x: Array, w: Array) -> Any:
        e = np.exp(x @ w)
        positive = np.maximum(w[0], 0).sum() * max(x[0, 0], 0)
        return (e / e.sum(1, keepdims=True) * np.arange(3.0)).sum() + positive

    inputs = draw(4, 2), draw(2, 3)
    for which in (0, 1):
        gradient = grad(f, which)(*inputs)
        assert close(gradient, differences(plain, inputs, np.ones(()), which), 1e-7)
    small = tuple(x.astype(np.float32) for x in inputs)
    assert grad(f)(*small).dtype == np.float32


def test_gathers_inside_traced_functions() -> None:
    pick = define("Y[n] = X[n, y[n]]")
    y = np.array([2, 0, 1])
    x = draw(3, 3)
    gradient = grad(lambda x, y: (pick(x, y) ** 2).sum())(x, y)
    assert close(gradient, 2 * x * np.eye(3)[y])


# --- derive ---


def affine(X: Array, W: Array, b: Array) -> Array:
    return X @ W + b


def test_derive_by_shapes_arrays_and_annotations() -> None:
    def annotated(X: Float[np.ndarray, "N D"], W: Float[np.ndarray, "D M"]) -> Any:  # type: ignore[name-defined]  # noqa: F821, F722
        return X @ W

    for derivation in (
        derive(affine, X="N D", W="D M", b="M"),
        derive(affine, X=("N", "D"), W=("D", "M"), b=("M",)),
        derive(AFFINE),
    ):
        assert isinstance(derivation, Derivation)
        assert [str(n) for n in derivation.gradient("W").shape] == ["D", "M"]
        assert "sum(n) dY[n,m]" in derivation.formula("b")
    assert derive(annotated).formula("W", matrix=True) == "dW = Xᵀ dY"
    literal = derive(affine, X=draw(5, 4), W=draw(4, 3), b=draw(3).astype(np.float32))
    assert [n.literal for n in literal.gradient("W").shape] == [4, 3]
    assert literal.gradient("b").dtype == "float32"


class Jaxtyped:
    """What jaxtyping's annotations look like."""

    def __init__(self, dim_str: str, dtypes: list[str]) -> None:
        self.dim_str = dim_str
        self.dtypes = dtypes


def test_derive_reads_jaxtyping_annotations() -> None:
    def picked(X: Any, y: Any) -> Any:
        return X[np.arange(len(y)), y].sum()

    floats = Jaxtyped("N C", ["float32", "float64"])
    picked.__annotations__ = {"X": floats, "y": Jaxtyped("N", ["int32", "int64"])}
    derivation = derive(picked)
    assert [t.kind for t in derivation.backward.program.inputs] == ["float", "int"]
    assert [str(n) for n in derivation.gradient("X").shape] == ["N", "C"]


def test_what_to_derive_by() -> None:
    for wrt in ("W", 1, ("W",), -2):
        assert [t.name for t in derive(AFFINE, wrt=wrt).backward.wrt] == ["W"]
    assert [t.name for t in derive(AFFINE, argnums=("b", 0)).backward.wrt] == ["b", "X"]
    with pytest.raises(ArgumentError, match="say the same"):
        derive(AFFINE, wrt="W", argnums="W")
    with pytest.raises(ArgumentError, match="no input 'Q'"):
        derive(AFFINE, wrt="Q")
    with pytest.raises(ArgumentError, match="twice"):
        derive(AFFINE, wrt=("W", 1))
    with pytest.raises(ArgumentError, match="dtype int"):
        derive("Y[n] = X[y[n]]", wrt="y")
    with pytest.raises(ArgumentError, match="nothing to differentiate"):
        derive("Y[i:4] = i")


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"X": "N D", "W": "D M"}, "no shape is given for b"),
        ({}, "no shape is given for X, W, b"),
        ({"X": "N D", "W": "D M", "b": "M", "c": "M"}, "no parameter c"),
    ],
)
def test_shapes_that_are_missing_or_too_many(shapes: dict[str, str], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        derive(affine, **shapes)  # type: ignore[arg-type]


def test_shapes_that_contradict_the_function_are_refused() -> None:
    with pytest.raises(TraceError):
        derive(affine, X="N D", W="E M", b="M")


def test_sizes_tell_bytes() -> None:
    derivation = derive(AFFINE, sizes={"N": 64, "D": 4096, "M": 4096})
    assert derivation.sizes["D"] == 4096
    with pytest.raises(ArgumentError, match="no size K"):
        derive(AFFINE, sizes={"K": 3})


def test_conventions_are_checked() -> None:
    text = "Y[i] = maximum(X[i], 0)"
    x = np.array([-1.0, 0.0, 1.0])
    for choice, at_zero in (("zero", 0.0), ("half", 0.5), ("one", 1.0)):
        forward, backward = derive(text, conventions={"maximum": choice}).compile()
        assert backward(np.ones(3), forward(x)[1]).tolist() == [0.0, at_zero, 1.0]
    with pytest.raises(PullbackError, match="no convention"):
        derive(text, conventions={"relu": "zero"})
    with pytest.raises(PullbackError, match="no choice"):
        derive(text, conventions={"maximum": "two"})


# --- compiled pairs ---


def test_the_pair_computes_values_and_gradients() -> None:
    forward, backward = derive(affine, X="N D", W="D M", b="M").compile()
    inputs = draw(5, 4), draw(4, 3), draw(3)
    Y, cache = forward(inputs[0], b=inputs[2], W=inputs[1])
    assert close(Y, affine(*inputs))
    cotangent = draw(5, 3)
    gradients = backward(cotangent, cache)
    dX, _, db = gradients
    assert dX is gradients["X"]
    assert db is gradients["b"]
    assert list(dict(gradients)) == ["X", "W", "b"]
    for which, name in enumerate("XWb"):
        assert close(gradients[name], differences(affine, inputs, cotangent, which), 1e-7)
    with pytest.raises(KeyError, match="X, W, b"):
        gradients["Q"]


def test_one_gradient_comes_bare_in_the_order_asked() -> None:
    forward, backward = derive(AFFINE, wrt="b").compile()
    _, cache = forward(draw(2, 3), draw(3, 4), draw(4))
    assert close(backward(np.ones((2, 4)), cache), np.full(4, 2.0))
    _, backward = derive(AFFINE, wrt=("b", "X")).compile()
    forward, backward = derive(AFFINE, wrt=("b", "X")).compile()
    _, cache = forward(draw(2, 3), draw(3, 4), draw(4))
    assert [g.shape for g in backward(np.ones((2, 4)), cache)] == [(4,), (2, 3)]


def test_the_pair_refuses_what_does_not_fit() -> None:
    forward, backward = derive(affine, X="N D", W="D M", b="M").compile()
    with pytest.raises(ShapeError):
        forward(draw(5, 4), draw(4, 3), draw(1))
    with pytest.raises(ShapeError):
        forward(draw(5, 4), draw(5, 3), draw(3))
    with pytest.raises(ArgumentError, match="wrong dtype"):
        forward(draw(5, 4).astype(np.float32), draw(4, 3), draw(3))
    with pytest.raises(TypeError):
        forward(draw(5, 4), draw(4, 3))
    _, cache = forward(draw(5, 4), draw(4, 3), draw(3))
    with pytest.raises(ShapeError):
        backward(np.ones(3), cache)
    with pytest.raises(ArgumentError, match="cache"):
        backward(np.ones((5, 3)), "cache")


def test_a_scalar_loss_takes_a_python_float() -> None:
    def loss(X: Array, w: Array) -> Any:
        return ((X @ w) ** 2).mean()

    forward, backward = derive(loss, wrt="w", X="N D", w="D").compile()
    X, w = draw(5, 3), draw(3)
    value, cache = forward(X, w)
    assert value == pytest.approx(loss(X, w))
    assert close(backward(2.0, cache), 4 * X.T @ (X @ w) / 5)


def test_nested_arguments_and_results() -> None:
    def layer(params: dict[str, Any], X: Array, *, power: int = 2, flag: bool = True) -> Any:
        h = X @ params["W"] + params["b"][0]
        return {"h": h, "loss": (h**power).sum() if flag else h.sum(), "top": h.argmax()}

    derivation = derive(layer, params={"W": "D M", "b": ["M"]}, X="N D", power=3)
    forward, backward = derivation.compile()
    params, X = {"W": draw(3, 2), "b": [draw(2)]}, draw(4, 3)
    out, cache = forward(params, X)
    assert set(out) == {"h", "loss", "top"}
    gradients = backward({"h": None, "loss": 1.0, "top": None}, cache)
    h = X @ params["W"] + params["b"][0]
    assert close(gradients["params"]["W"], X.T @ (3 * h**2))
    assert close(gradients["params"]["b"][0], (3 * h**2).sum(0))
    assert close(gradients["X"], 3 * h**2 @ params["W"].T)
    only = derive(layer, wrt="params_W", params={"W": "D M", "b": ["M"]}, X="N D")
    assert [t.name for t in only.backward.wrt] == ["params_W"]


class Pair(NamedTuple):
    W: Any
    b: Any


@dataclasses.dataclass
class Layers:
    first: Pair
    scale: Any
    mode: str | None = None


def test_dataclasses_and_named_tuples_of_shapes_and_arrays() -> None:
    def f(layers: Layers, X: Array) -> Any:
        h = X @ layers.first.W + layers.first.b
        return (h * layers.scale).sum()

    layers = Layers(Pair(draw(3, 2), draw(2)), draw(2), "sum")
    for given in (layers, Layers(Pair("D M", "M"), "M")):
        forward, backward = derive(
            f, layers=given, X="N D" if given is not layers else ("N", 3)
        ).compile()
        X = draw(4, 3)
        own = dataclasses.replace(layers, mode=given.mode)
        value, cache = forward(own, X)
        assert value == pytest.approx(f(layers, X))
        gradients = backward(1.0, cache)
        assert isinstance(gradients["layers"], Layers)
        expected = grad(f)(dataclasses.replace(layers, mode=None), X)
        assert close(gradients["layers"].first.W, expected.first.W)
        assert close(gradients["layers"].scale, expected.scale)


def test_static_parts_of_an_argument_stay_as_derived() -> None:
    def f(options: dict[str, Any], X: Array) -> Any:
        return X.sum() if options["mode"] == "sum" else (options["scale"] * X).mean()

    derivation = derive(f, options={"mode": "sum", "scale": np.array(2.0)}, X="N")
    forward, _ = derivation.compile()
    assert forward({"mode": "sum", "scale": 3.0}, np.ones(4))[0] == 4.0
    with pytest.raises(ArgumentError, match="something else") as caught:
        forward({"mode": "mean", "scale": 3.0}, np.ones(4))
    assert caught.value.where == "options['mode']"


def test_parameters_of_every_kind() -> None:
    def f(a: Array, /, b: Array, *rest: Array, c: Array, power: int = 1, **more: Array) -> Any:
        total = a * b + sum(rest) + c
        return (total**power * more["d"]).sum()

    shapes: dict[str, Any] = {"a": "N", "b": "N", "c": "N", "rest": ["N", "N"]}
    derivation = derive(f, **shapes, more={"d": "N"}, power=2)
    forward, backward = derivation.compile()
    a, b, r, s, c, d = (draw(3) for _ in range(6))
    value, cache = forward(a=a, b=b, rest=[r, s], c=c, more={"d": d})
    assert value == pytest.approx(f(a, b, r, s, c=c, d=d, power=2))
    gradients = backward(1.0, cache)
    assert close(gradients["rest"][1], 2 * (a * b + r + s + c) * d)
    assert close(gradients["more"]["d"], (a * b + r + s + c) ** 2)


def test_constants_of_the_function_come_along() -> None:
    weights = draw(3)

    def f(X: Array) -> Any:
        return (X * weights).sum()

    forward, backward = derive(f, X=("N", 3)).compile()
    X = draw(4, 3)
    value, cache = forward(X)
    assert value == pytest.approx((X * weights).sum())
    assert close(backward(1.0, cache), np.broadcast_to(weights, (4, 3)))


def test_sizes_too_small_for_the_derivation_are_not_guessed() -> None:
    def f(X: Array) -> Any:
        return (X[:3] ** 2).sum() * (1.0 if len(X) > 2 else 7.0)

    forward, backward = derive(f, X="N").compile()
    x = draw(6)
    value, cache = forward(x)
    assert value == pytest.approx(f(x))
    assert close(backward(1.0, cache), differences(f, (x,), np.ones(()), 0), 1e-7)
    with pytest.raises(ShapeError, match="not seen to hold at N = 2"):
        forward(draw(2))

    def g(X: Array) -> Any:
        return (X**2).sum()

    forward, backward = derive(g, X="N").compile()
    for n in (3, 1, 0):
        x = draw(n)
        assert close(backward(1.0, forward(x)[1]), 2 * x)


def test_free_sizes_are_keywords_of_forward() -> None:
    forward, backward = derive("T[i:N, j:M] = x[]*(i + j)").compile()
    T, cache = forward(2.0, N=2, M=3)
    assert T.tolist() == [[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]]
    assert backward(np.ones((2, 3)), cache) == 9.0


def test_the_source_shown_is_the_source_that_runs() -> None:
    derivation = derive(affine, X="N D", W="D M", b="M")
    forward, backward = derivation.compile()
    assert inspect.getsource(forward.of.module) == derivation.source()  # type: ignore[attr-defined]
    assert callable(backward)


def test_derive_of_a_formula() -> None:
    formula = define(AFFINE)
    assert derive(formula).formulas() == derive(AFFINE).formulas()
    assert pullback.derive(formula, wrt="b").gradient("b").name == "db"


def test_an_extent_that_no_size_makes_is_refused() -> None:
    halves = pullback.define("X[2*N]\nY[i:N] = X[2*i]")
    with pytest.raises(pullback.ShapeError, match=r"2\*N with a whole number N >= 0"):
        halves(np.ones(3))
    rest = pullback.define("X[N+2]\nY[i:N] = X[i+2]")
    with pytest.raises(pullback.ShapeError, match=r"N \+ 2 with a whole number N >= 0"):
        rest(np.ones(1))


def test_the_first_elements_of_a_statement_are_fewer() -> None:
    f = pullback.define("u[k:9] = 2*X[k]\nY[i:3] = u[i]")
    assert np.array_equal(f(np.arange(9.0)), [0, 2, 4])

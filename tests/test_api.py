"""grad, value_and_grad, vjp, jvp: values against central differences, and all that surrounds
them.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pullback
from pullback import (
    ArgumentError,
    PullbackError,
    ShapeError,
    TraceError,
    grad,
    jvp,
    value_and_grad,
    vjp,
)
from tests.differences import Array, close, differences

RNG = np.random.default_rng(7)


def draw(*shape: int) -> Array:
    return RNG.normal(size=shape)


# --------------------------------------------------------------------------------------------------
# Values


def normalised(x: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-3)


def attention(q: Array, k: Array, v: Array) -> Array:
    scores = q @ k.T / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)) @ v


def pieces(x: Array, y: Array) -> Array:
    return np.concatenate([x[::-1] * y, np.stack([x, y]).sum(axis=0), x[1:3]])


def gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gathered(x: Array, w: Array) -> Array:
    return x[[0, 2, 2, -1]] @ w


def looped(x: Array, w: Array) -> Array:
    h = x
    for _ in range(3):
        h = np.tanh(h @ w)
    return h


def distances(x: Array, y: Array) -> Array:
    return np.sqrt(((x[:, None, :] - y[None, :, :]) ** 2).sum(axis=-1) + 0.1)


def powers(x: Array, y: Array) -> Array:
    return np.abs(x) ** 1.5 + np.exp(-(y**2)) / (1 + x**2) - np.log(y**2 + 1)


FUNCTIONS: list[tuple[Callable[..., Any], tuple[Array, ...]]] = [
    (normalised, (draw(3, 5),)),
    (attention, (draw(3, 4), draw(5, 4), draw(5, 2))),
    (pieces, (draw(4), draw(4))),
    (gelu, (draw(3, 2),)),
    (gathered, (draw(4, 3), draw(3, 2))),
    (looped, (draw(2, 3), draw(3, 3))),
    (distances, (draw(3, 2), draw(4, 2))),
    (powers, (draw(5), draw(5))),
    (lambda x: x[::2].max() * x.min(), (draw(7),)),
    (lambda x: np.outer(x, x).trace() + np.prod(x), (draw(4),)),
    (lambda a, b: np.where(a > b, a * b, np.sin(a)), (draw(3, 4), draw(4))),
    (lambda a: np.einsum("iij->j", a), (draw(3, 3, 2),)),
    (lambda a, b: np.tensordot(a, b, axes=([0, 1], [1, 0])), (draw(2, 3, 2), draw(3, 2, 2))),
    (lambda x: np.clip(x, -0.5, 0.5) + np.maximum(x, 0.1), (draw(6),)),
    (lambda x: np.var(x, axis=0) / np.std(x, axis=0), (draw(4, 3),)),
]


@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS)
def test_the_pullback_agrees_with_differences(
    function: Callable[..., Any], inputs: tuple[Array, ...]
) -> None:
    expected = np.asarray(function(*inputs))
    out, pull = vjp(function, *inputs)
    assert close(out, expected, 1e-13)
    cotangent = np.random.default_rng(1).normal(size=expected.shape)
    for which, gradient in enumerate(pull(cotangent)):
        assert close(gradient, differences(function, inputs, cotangent, which), 1e-7)
        assert gradient.dtype == np.float64


@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS)
def test_pushforward_and_pullback_are_adjoint(
    function: Callable[..., Any], inputs: tuple[Array, ...]
) -> None:
    rng = np.random.default_rng(2)
    along = tuple(rng.normal(size=x.shape) for x in inputs)
    out, moved = jvp(function, inputs, along)
    assert close(out, function(*inputs), 1e-13)
    assert np.shape(moved) == np.shape(out)
    cotangent = rng.normal(size=np.shape(out))
    _, pull = vjp(function, *inputs)
    left = np.sum(cotangent * moved)
    right = sum(np.sum(g * t) for g, t in zip(pull(cotangent), along, strict=True))
    assert close(left, right, 1e-10)


@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS)
def test_float32_stays_float32(function: Callable[..., Any], inputs: tuple[Array, ...]) -> None:
    small = tuple(x.astype(np.float32) for x in inputs)
    out, pull = vjp(function, *small)
    expected = np.asarray(function(*small)).dtype  # np.sqrt(3) is a float64 that widens
    assert out.dtype == expected
    _, wide = vjp(function, *inputs)
    cotangent = np.ones(np.shape(out))
    for narrow, exact in zip(pull(cotangent), wide(cotangent), strict=True):
        assert narrow.dtype == np.float32
        assert close(narrow, exact, 1e-3)
    assert jvp(function, small, small)[1].dtype == expected


def test_grad_and_value_and_grad_agree() -> None:
    x, w = draw(3, 4), draw(4)

    def loss(x: Array, w: Array) -> Any:
        return np.log(1 + np.exp(x @ w)).mean()

    value, gradient = value_and_grad(loss, argnums=1)(x, w)
    assert value == pytest.approx(loss(x, w))
    assert np.array_equal(gradient, grad(loss, 1)(x, w))
    assert close(gradient, differences(loss, (x, w), np.ones(()), 1), 1e-7)


def test_mixed_dtypes_each_keep_their_own() -> None:
    x, w = draw(3, 4).astype(np.float32), draw(4)
    dx, dw = grad(lambda x, w: (x @ w).sum(), (0, 1))(x, w)
    assert dx.dtype == np.float32
    assert dw.dtype == np.float64


# --------------------------------------------------------------------------------------------------
# Which arguments


def product(a: Any, b: Any, *, c: Any = 1.0) -> Any:
    return (a * b * c).sum()


def test_argnums_by_position_and_by_name() -> None:
    a, b, c = draw(3), draw(3), draw(3)
    assert close(grad(product)(a, b), b)
    assert close(grad(product, -1)(a, b), a)
    assert close(grad(product, "b")(a, b), a)
    assert close(grad(product, "b")(a, b=b), a)
    assert close(grad(product, 1)(a, b=b), a)
    assert close(grad(product, "c")(a, b, c=c), a * b)
    both = grad(product, ("c", 0))(a, b, c=c)
    assert isinstance(both, tuple)
    assert close(both[0], a * b)
    assert close(both[1], b * c)
    assert isinstance(grad(product, (0,))(a, b), tuple)


def test_variadic_arguments() -> None:
    def total(*xs: Array, **ws: Array) -> Any:
        return sum(((x * w).sum() for x, w in zip(xs, ws.values(), strict=True)), 0.0)

    x, y = draw(2), draw(2)
    assert close(grad(total, 1)(x, y, u=x, v=y), y)
    assert close(grad(total, "v")(x, y, u=x, v=y), y)


@pytest.mark.parametrize("argnums", [1.5, None, (), (True,), True, {"a"}, [0, None]])
def test_argnums_of_another_kind_are_refused(argnums: Any) -> None:
    with pytest.raises(ArgumentError, match="argnums"):
        grad(product, argnums)


@pytest.mark.parametrize("argnums", [2, -3, "d", "c", ("a", "d"), (0, 5)])
def test_argnums_that_the_call_lacks_are_refused(argnums: Any) -> None:
    with pytest.raises(ArgumentError, match="doesn't pass"):
        grad(product, argnums)(draw(2), draw(2))


def test_the_same_argument_twice_is_refused() -> None:
    with pytest.raises(ArgumentError, match="twice"):
        grad(product, (0, "a"))(draw(2), draw(2))


def test_a_wrong_call_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="missing"):
        grad(product)(draw(2))


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ArgumentError, match="no function") as caught:
        grad("Y[i] = X[i]")  # type: ignore[arg-type]
    assert "define" in caught.value.hint


# --------------------------------------------------------------------------------------------------
# Structures


class Pair(NamedTuple):
    W: Any
    b: Any


@dataclasses.dataclass(frozen=True)
class Layer:
    W: Any
    b: Any
    name: None = None


def network(params: Any, x: Array) -> Any:
    first, second = params["first"], params["rest"][0]
    h = np.tanh(x @ first.W + first.b)
    return ((h @ second.W + second.b) ** 2).sum() + params["scale"]


def test_gradients_come_back_in_the_shape_of_the_arguments() -> None:
    params = {
        "scale": 2.0,
        "first": Layer(draw(3, 4), draw(4)),
        "rest": [Pair(draw(4, 2), draw(2)), ()],
        "unused": draw(2),
        "none": None,
    }
    x = draw(5, 3)
    gradient = grad(network)(params, x)
    assert list(gradient) == list(params)
    assert isinstance(gradient["first"], Layer)
    assert isinstance(gradient["rest"], list)
    assert isinstance(gradient["rest"][0], Pair)
    assert gradient["rest"][1] == ()
    assert gradient["none"] is None
    assert gradient["first"].name is None
    assert gradient["scale"] == 1.0
    assert np.array_equal(gradient["unused"], np.zeros(2))

    def flat(W: Array, b: Array, W2: Array, b2: Array) -> Any:
        tree = {"scale": 2.0, "first": Layer(W, b), "rest": [Pair(W2, b2), ()]}
        return network(tree, x)

    leaves = (params["first"].W, params["first"].b, *params["rest"][0])  # type: ignore[attr-defined, index]
    found = (gradient["first"].W, gradient["first"].b, *gradient["rest"][0])
    for which, value in enumerate(found):
        assert close(value, differences(flat, leaves, np.ones(()), which), 1e-7)


def test_results_and_cotangents_may_be_trees_too() -> None:
    def parts(x: Array) -> Any:
        return {"double": 2 * x, "more": (x.sum(), [x**2])}

    x = draw(3)
    out, pull = vjp(parts, x)
    assert set(out) == {"double", "more"}
    assert close(out["more"][1][0], x**2)
    (gradient,) = pull({"more": (1.0, [np.ones(3)]), "double": np.ones(3)})
    assert close(gradient, 2 + 1 + 2 * x)
    (partial,) = pull({"more": (1.0, [None]), "double": None})
    assert close(partial, np.ones(3))
    _, moved = jvp(parts, (x,), (np.ones(3),))
    assert close(moved["more"][0], 3.0)
    with pytest.raises(ArgumentError, match="another structure"):
        pull({"double": np.ones(3)})


def test_one_array_returned_twice_adds_its_cotangents() -> None:
    def twice(x: Array) -> Any:
        y = 3 * x
        return y, y, x

    x = draw(2)
    out, pull = vjp(twice, x)
    assert not np.shares_memory(out[0], out[1])
    assert not np.shares_memory(out[2], x)
    assert close(pull((np.ones(2), np.ones(2), np.ones(2)))[0], np.full(2, 7.0))


def test_static_arguments_pass_through() -> None:
    def reduced(
        x: Array, axis: int, mode: str, keepdims: bool, shape: tuple[int, ...] | None
    ) -> Any:
        y = x.reshape(shape) if shape else x
        y = y.sum(axis=axis, keepdims=keepdims)
        return (y**2).sum() if mode == "square" else y.sum()

    x = draw(2, 6)
    assert close(grad(reduced)(x, 0, "plain", False, None), np.ones((2, 6)))
    assert close(
        grad(reduced)(x, 1, "square", True, None), np.repeat(2 * x.sum(1, keepdims=True), 6, 1)
    )
    assert close(
        grad(reduced)(x, 0, "square", False, (2, 6)), np.repeat(2 * x.sum(0, keepdims=True), 2, 0)
    )
    assert vjp(reduced, x, 0, "plain", False, None)[1](1.0)[1:] == (None, None, None, None)


def test_has_aux() -> None:
    def loss(x: Array) -> Any:
        y = x**2
        return y.sum(), {"y": y, "name": "square", "count": len(x), "largest": y.argmax()}

    x = draw(4)
    gradient, aux = grad(loss, has_aux=True)(x)
    assert close(gradient, 2 * x)
    assert close(aux["y"], x**2)
    assert aux["name"] == "square"
    assert aux["count"] == 4
    assert aux["largest"] == np.argmax(x**2)
    (value, again), _ = value_and_grad(loss, has_aux=True)(x)
    assert value == pytest.approx((x**2).sum())
    assert close(again["y"], x**2)
    _, pull, more = vjp(loss, x, has_aux=True)
    assert close(pull(1.0)[0], 2 * x)
    assert close(more["y"], x**2)
    _, moved, more = jvp(loss, (x,), (np.ones(4),), has_aux=True)
    assert close(moved, 2 * x.sum())
    with pytest.raises(ArgumentError, match="two things"):
        grad(lambda x: x.sum(), has_aux=True)(x)


# --------------------------------------------------------------------------------------------------
# Scalars, empty arrays, dtypes


def test_python_floats_numpy_scalars_and_0d_arrays() -> None:
    def cube(x: Any) -> Any:
        return x**3

    for value, kind in (
        (2.0, np.float64),
        (np.float64(2), np.float64),
        (np.float32(2), np.float32),
        (np.array(2.0, dtype=np.float32), np.ndarray),
    ):
        gradient = grad(cube)(value)
        assert type(gradient) is kind
        assert gradient == 12.0
        assert gradient.shape == ()
    assert grad(cube)(np.array(2.0, np.float32)).dtype == np.float32


def test_a_python_float_does_not_widen() -> None:
    x = draw(3).astype(np.float32)
    value, (dx, ds) = value_and_grad(lambda x, s: (x * s).sum(), (0, 1))(x, 0.5)
    assert value.dtype == np.float32
    assert dx.dtype == np.float32
    assert isinstance(ds, np.float64)


def test_empty_arrays() -> None:
    for shape in ((0,), (0, 3), (3, 0)):
        x = np.zeros(shape, np.float32)
        value, gradient = value_and_grad(lambda x: (x**2).sum())(x)
        assert value == 0
        assert gradient.shape == shape
        assert gradient.dtype == np.float32
    dx, dw = grad(lambda x, w: (x @ w).sum(), (0, 1))(np.zeros((0, 3)), np.ones((3, 2)))
    assert dx.shape == (0, 3)
    assert np.array_equal(dw, np.zeros((3, 2)))


def test_other_byte_orders_and_layouts() -> None:
    x = draw(3, 4)
    for given in (x.astype(">f8"), np.asfortranarray(x), x[::-1][::-1], np.repeat(x, 2, 0)[::2]):
        assert close(grad(lambda x: (x**3).sum())(given), 3 * x**2)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (np.arange(3), "astype(float)"),
        (np.array([True, False]), "astype(float)"),
        (np.int32(3), "astype(float)"),
        (3, "pass a float, 3.0"),
        (True, "leave x out of argnums"),
        ("text", "leave x out of argnums"),
        ([1.0, 2], "float, 2.0"),
        ({"n": "name", "w": 1.0}, "an argument of its own"),
        (1j, "return its real part"),
        (np.array([1j]), "return its real part"),
        (np.array([None]), "dtype=float"),
    ],
)
def test_what_is_no_float_is_refused_with_a_hint(value: Any, hint: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        grad(lambda x: np.sum(x))(value)
    assert hint in caught.value.hint
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("function", "hint"),
    [
        (lambda x: 2 * x, "sum it"),
        (lambda x: (x, x), "use vjp"),
        (lambda x: x.argmax(), "zero wherever"),
        (lambda x: "text", ""),
        (lambda x: None, "computed from the arguments"),
        (lambda x: [x.sum()], "return one scalar"),
    ],
)
def test_a_result_that_is_no_scalar_is_refused(function: Callable[..., Any], hint: str) -> None:
    with pytest.raises(ArgumentError, match="scalar result") as caught:
        grad(function)(draw(3))
    assert hint in caught.value.hint


def test_a_result_that_depends_on_nothing_has_zero_gradients() -> None:
    x = draw(3)
    value, gradient = value_and_grad(lambda x: 1.5)(x)
    assert value == 1.5
    assert np.array_equal(gradient, np.zeros(3))
    fixed = np.arange(3.0)
    out, pull = vjp(lambda x: (fixed, x), x)
    assert not np.shares_memory(out[0], fixed)
    assert close(pull((None, np.ones(3)))[0], np.ones(3))


def test_integer_arguments_are_data() -> None:
    x, y = draw(4, 3), np.array([0, 2, 2, 1])

    def picked(x: Array, y: Array) -> Any:
        return x[np.arange(len(y)), y]

    out, pull = vjp(picked, x, y)
    assert close(out, x[np.arange(4), y])
    gradient, none = pull(np.ones(4))
    assert none is None
    assert close(gradient, np.eye(3)[y])
    _, moved = jvp(picked, (x, y), (np.ones((4, 3)), None))
    assert close(moved, np.ones(4))
    with pytest.raises(ArgumentError, match="must be None"):
        jvp(picked, (x, y), (np.ones((4, 3)), np.ones(4)))


def test_integer_results_take_no_cotangent() -> None:
    x = draw(4)
    out, pull = vjp(lambda x: (x.argmax(), 2 * x), x)
    assert out[0] == x.argmax()
    assert close(pull((None, np.ones(4)))[0], np.full(4, 2.0))
    with pytest.raises(ArgumentError, match="must be None"):
        pull((1.0, np.ones(4)))
    assert jvp(lambda x: (x.argmax(), 2 * x), (x,), (x,))[1][0] is None


def test_cotangents_and_tangents_of_another_shape_are_refused() -> None:
    x = draw(3)
    _, pull = vjp(lambda x: 2 * x, x)
    with pytest.raises(ShapeError, match="cotangent has the wrong shape"):
        pull(1.0)
    with pytest.raises(ArgumentError, match="wrong dtype"):
        pull(np.ones(3, complex))
    with pytest.raises(ShapeError, match="tangent of x has the wrong shape"):
        jvp(lambda x: 2 * x, (x,), (np.ones(2),))
    with pytest.raises(ArgumentError, match="one tangent an argument"):
        jvp(lambda x: 2 * x, (x,), ())
    with pytest.raises(ArgumentError, match="as a tuple"):
        jvp(lambda x: 2 * x, x, x)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------
# Memory


def test_nothing_of_the_callers_is_changed_or_shared() -> None:
    def parts(x: Array, w: Array) -> Any:
        return x, x.T, x + 0, x[1:], np.broadcast_to(w, (2, 3)), x.reshape(-1), w

    x, w = draw(2, 3), draw(3)
    before = x.copy(), w.copy()
    out, pull = vjp(parts, x, w)
    cotangents = tuple(np.ones(np.shape(y)) for y in out)
    gradients = pull(cotangents)
    arrays = [*out, *gradients]
    for n, one in enumerate(arrays):
        assert one.flags.writeable
        for other in (x, w, *cotangents, *arrays[:n]):
            assert not np.shares_memory(one, other)
    assert np.array_equal(x, before[0])
    assert np.array_equal(w, before[1])


def test_changing_arguments_and_results_does_not_change_a_pullback() -> None:
    x = draw(3)
    point = x.copy()
    out, pull = vjp(lambda x: np.exp(x) * x, x)
    x[:] = 0
    out[:] = 0
    assert close(pull(np.ones(3))[0], np.exp(point) * (1 + point))


def test_read_only_arguments() -> None:
    x = draw(3)
    x.flags.writeable = False
    gradient = grad(lambda x: (x**2).sum())(x)
    assert gradient.flags.writeable


# --------------------------------------------------------------------------------------------------
# What a function reads besides its arguments


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every trace that is made."""
    made: list[Any] = []
    real = pullback.gradients.forward_of

    def counting(function: Any, *rest: Any) -> Any:
        made.append(function)
        return real(function, *rest)

    monkeypatch.setattr(pullback.gradients, "forward_of", counting)
    return made


SCALE = 2.0
WEIGHTS = np.ones(3)


def scaled(x: Array) -> Any:
    return (x * WEIGHTS * SCALE).sum()


def test_the_second_call_traces_nothing(traces: list[Any]) -> None:
    x = draw(3)
    for _ in range(3):
        grad(scaled)(x)
        vjp(scaled, x)
        jvp(scaled, (x,), (x,))
    assert len(traces) == 3


def test_lambdas_made_anew_are_not_traced_anew(traces: list[Any]) -> None:
    x = draw(3)
    for _ in range(3):
        grad(lambda x: (x**2).sum())(x)
    assert len(traces) == 1


def test_another_shape_or_dtype_is_another_trace(traces: list[Any]) -> None:
    for x in (draw(3), draw(4), draw(3).astype(np.float32), draw(3, 1)):
        assert close(grad(lambda x: (x**2).sum())(x), 2 * x, 1e-6)
    assert len(traces) == 4


@pytest.fixture
def derivations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every program that is differentiated."""
    made: list[Any] = []
    real = pullback.runtime.compiled.reverse

    def counting(program: Any, *rest: Any) -> Any:
        made.append(program)
        return real(program, *rest)

    monkeypatch.setattr(pullback.runtime.compiled, "reverse", counting)
    return made


def test_many_shapes_take_few_derivations(derivations: list[Any]) -> None:
    def loss(x: Array, w: Array, y: Array) -> Any:
        s = x @ w
        return -s[np.arange(len(y)), y].mean() + np.log(np.exp(s).sum(axis=1)).mean()

    for n in (64, 17, 5, 3, 2, 1, 40):
        x, w, y = draw(n, 4), draw(4, 3), RNG.integers(0, 3, n)
        found = grad(loss, "w")(x, w, y)
        p = np.exp(x @ w) / np.exp(x @ w).sum(1, keepdims=True)
        assert close(found, x.T @ (p - np.eye(3)[y]) / n)
    assert (
        len(derivations) <= 3
    )  # the named one, the first, and one where an extent of 1 reads otherwise


def test_a_function_of_the_size_is_derived_for_each() -> None:
    def f(x: Array) -> Any:
        return (x if len(x) > 3 else 10 * x).sum() * (len(x) % 3) + x[: len(x) // 2].sum()

    for n in (8, 7, 6, 5, 4, 3, 2, 1):
        x = draw(n)
        assert close(grad(f)(x), differences(f, (x,), np.ones(()), 0))


def test_true_is_not_one() -> None:
    def f(x: Array, flag: Any) -> Any:
        return (x * (3.0 if flag is True else 5.0)).sum()

    x = draw(2)
    assert grad(f)(x, True)[0] == 3.0
    assert grad(f)(x, 1)[0] == 5.0


def test_changed_globals_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw(3)
    assert close(grad(scaled)(x), np.full(3, 2.0))
    monkeypatch.setitem(scaled.__globals__, "SCALE", 3.0)
    assert close(grad(scaled)(x), np.full(3, 3.0))
    monkeypatch.setitem(scaled.__globals__, "WEIGHTS", np.arange(3.0))
    assert close(grad(scaled)(x), 3 * np.arange(3.0))


def test_arrays_changed_in_place_are_seen() -> None:
    w = draw(3)

    def f(x: Array) -> Any:
        return (x * w).sum()

    x = draw(3)
    assert np.array_equal(grad(f)(x), w)
    w[1] = 100.0
    assert np.array_equal(grad(f)(x), w)
    assert grad(f)(x)[1] == 100.0


def test_closures_in_containers_and_helpers_are_seen() -> None:
    settings = {"power": 2, "weights": [np.ones(2)]}

    def helper(x: Array) -> Array:
        return x ** settings["power"]

    def f(x: Array) -> Any:
        return (helper(x) * settings["weights"][0]).sum()  # type: ignore[index]

    x = np.array([2.0, 3.0])
    assert close(grad(f)(x), 2 * x)
    settings["power"] = 3
    assert close(grad(f)(x), 3 * x**2)
    settings["weights"][0][:] = 2  # type: ignore[index]
    assert close(grad(f)(x), 6 * x**2)


class Model:
    def __init__(self) -> None:
        self.w = np.ones(2)
        self.power = 2

    def loss(self, x: Array) -> Any:
        return (self.w * x**self.power).sum()


def test_methods_see_their_objects_state() -> None:
    model = Model()
    x = np.array([2.0, 3.0])
    assert close(grad(model.loss)(x), 2 * x)
    model.w *= 2
    assert close(grad(model.loss)(x), 4 * x)
    model.power = 1
    assert close(grad(model.loss)(x), np.full(2, 2.0))
    assert close(grad(Model().loss)(x), 2 * x)


def test_changed_defaults_are_seen() -> None:
    def f(x: Array, k: float = 2.0) -> Any:
        return (k * x).sum()

    x = draw(2)
    assert grad(f)(x)[0] == 2.0
    f.__defaults__ = (5.0,)
    assert grad(f)(x)[0] == 5.0


def test_random_numbers_are_drawn_anew() -> None:
    rng = np.random.default_rng(0)

    def dropout(x: Array) -> Any:
        return (x * (rng.random(x.shape) < 0.5)).sum()

    gradients = [grad(dropout)(np.ones(64)) for _ in range(3)]
    assert not np.array_equal(gradients[0], gradients[1])
    assert not np.array_equal(gradients[1], gradients[2])


def test_a_counter_counts_every_call() -> None:
    calls = 0

    def f(x: Array) -> Any:
        nonlocal calls
        calls += 1
        return (x * calls).sum()

    x = draw(2)
    assert [grad(f)(x)[0] for _ in range(3)] == [1.0, 2.0, 3.0]


def test_python_control_flow_on_captured_values_is_seen() -> None:
    mask = np.array([1.0, 0.0])

    def f(x: Array) -> Any:
        return (x if mask.sum() > 1 else 2 * x).sum()

    x = draw(2)
    assert grad(f)(x)[0] == 2.0
    mask[1] = 1.0
    assert grad(f)(x)[0] == 1.0


def test_control_flow_on_traced_values_is_refused() -> None:
    def f(x: Array) -> Any:
        return x.sum() if x[0] > 0 else -x.sum()

    with pytest.raises(TraceError) as caught:
        grad(f)(draw(2))
    assert "if x[0] > 0" in caught.value.where
    assert caught.value.hint


def test_a_float_that_steers_is_taken_as_it_is() -> None:
    def f(x: Array, alpha: float) -> Any:
        return (x * alpha).sum() if alpha > 0 else x.sum()

    x = draw(2)
    assert grad(f)(x, 3.0)[0] == 3.0
    assert grad(f)(x, -3.0)[0] == 1.0
    assert grad(f)(x, 5.0)[0] == 5.0


# --------------------------------------------------------------------------------------------------
# Nested


def test_a_constant_gradient_inside_a_trace() -> None:
    def slope(x: Array) -> Any:
        return (pullback.grad(lambda y: y.sum())(x) * x).sum()

    assert pullback.grad(slope)(np.arange(3.0)).tolist() == [1, 1, 1]


def test_second_derivatives() -> None:
    def f(x: Array) -> Any:
        return (np.sin(x) * x**2).sum()

    x = draw(3)
    first = 2 * x * np.sin(x) + x**2 * np.cos(x)
    second = 2 * np.sin(x) + 4 * x * np.cos(x) - x**2 * np.sin(x)
    assert close(grad(f)(x), first)
    assert close(grad(lambda x: grad(f)(x).sum())(x), second)
    _, moved = jvp(grad(f), (x,), (np.ones(3),))
    assert close(moved, second)
    _, pull = vjp(grad(f), x)
    assert close(pull(np.ones(3))[0], second)


def test_a_pullback_inside_a_traced_function() -> None:
    def outer(x: Array, w: Array) -> Any:
        value, pull = vjp(lambda w: np.tanh(w) * 2, w)
        _, moved = jvp(lambda x: x**3, (x,), (w,))
        return (pull(x)[0] * value).sum() + moved.sum()

    def plain(x: Array, w: Array) -> Any:
        return (x * 2 * (1 - np.tanh(w) ** 2) * np.tanh(w) * 2 + 3 * x**2 * w).sum()

    inputs = draw(3), draw(3)
    value, gradients = value_and_grad(outer, (0, 1))(*inputs)
    assert value == pytest.approx(plain(*inputs))
    for which, gradient in enumerate(gradients):
        assert close(gradient, differences(plain, inputs, np.ones(()), which), 1e-7)


# --------------------------------------------------------------------------------------------------
# How functions present themselves


def test_gradient_functions_keep_name_and_signature() -> None:
    def loss(x: Array, scale: float = 1.0) -> Any:
        """A loss."""
        return (x * scale).sum()

    gradient = grad(loss)
    assert gradient.__name__ == "loss"
    assert gradient.__doc__ == "A loss."
    assert inspect.signature(gradient) == inspect.signature(loss)


def test_every_refusal_is_a_pullback_error() -> None:
    for bad in (lambda x: np.argwhere(x).sum(), lambda x: float(x.sum())):
        with pytest.raises(PullbackError) as caught:
            grad(bad)(np.eye(2))
        assert caught.value.where


# --------------------------------------------------------------------------------------------------
# The first elements of a value are not the value


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_the_first_elements_of_a_value(stop: int) -> None:
    first: list[Callable[..., Any]] = [
        lambda a: np.sin(a)[:stop],
        lambda a: np.sin(a)[:stop, :stop],
        lambda a: np.outer(a, a).reshape(-1)[:stop],
        lambda a: (np.sin(a)[:, :stop], np.cos(a)),
        lambda a: np.concatenate([np.sin(a), a])[:stop],
    ]
    a, along = draw(3, 3), draw(3, 3)
    for f in first:
        expected = f(a)
        value, pull = vjp(f, a)
        pushed, tangent = jvp(f, (a,), (along,))
        for found in (value, pushed):
            assert [np.shape(v) for v in _tuple(found)] == [np.shape(v) for v in _tuple(expected)]
            assert all(map(close, _tuple(found), _tuple(expected)))
        ones = tuple(np.ones(np.shape(v)) for v in _tuple(expected))
        (back,) = pull(ones if isinstance(expected, tuple) else ones[0])
        assert close((back * along).sum(), sum(np.sum(t) for t in _tuple(tangent)), 1e-12)


@pytest.mark.parametrize("stop", [1, 2])
def test_matrices_in_the_corner_of_another(stop: int) -> None:
    a = np.eye(3) * 4 + draw(3, 3)
    for f in (
        lambda a: np.sin(np.linalg.inv(a[:stop, :stop])).sum(),
        lambda a: np.sin(np.linalg.inv(a.T[:stop, :stop])).sum(),
        lambda a: np.linalg.det(a[:stop, :stop]) * a[2, 2],
        lambda a: sum(np.linalg.slogdet(a[:k, :k])[1] for k in range(1, stop + 2)),
        lambda a: np.linalg.cholesky((a @ a.T)[:stop, :stop]).sum(),
        lambda a: np.sin(np.linalg.eigvalsh((a + a.T)[:stop, :stop], "U")).sum(),
        lambda a: np.sin(np.linalg.solve(a[:stop, :stop], a[2, :stop])).sum(),
        lambda a: np.sin(np.linalg.inv(np.stack([a, 2 * a, a @ a])[:stop])).sum(),
    ):
        value, gradient = value_and_grad(f)(a)
        assert close(value, f(a))
        assert close(gradient, differences(f, (a,), np.ones(()), 0), 1e-7)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def test_shapes_stand_in_the_order_of_the_arguments_or_have_their_names() -> None:
    def product(X: Any, W: Any) -> Any:
        return X @ W

    wanted = pullback.derive(product, X="N D", W="D M").source()
    assert pullback.derive(product, "N D", "D M").source() == wanted
    assert pullback.derive(product, "N D", W="D M").source() == wanted
    plain = pullback.derive(product, np.ones((2, 3)), np.ones((3, 4))).source()
    assert plain == pullback.derive(product, (2, 3), (3, 4)).source()
    with pytest.raises(pullback.ArgumentError, match="more shapes"):
        pullback.derive(product, "N D", "D M", "M")
    with pytest.raises(pullback.ArgumentError, match="by its place and by its name"):
        pullback.derive(product, "N D", X="N D")
    with pytest.raises(pullback.ArgumentError, match="index notation"):
        pullback.derive("Y[i] = 2*X[i]", "N")

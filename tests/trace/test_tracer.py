"""What a trace looks like: names, source lines, shared statements, memory, arguments, results."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pullback.ir.expr import Access, Apply, Guard, IndexOf, Mul, Power, Reduce, SizeOf, number
from pullback.ir.sizes import size
from pullback.ir.subscripts import Lookup
from pullback.ir.walk import accesses, nodes
from pullback.trace.tracer import Spec, Traced, trace

from .checking import compare


def names(traced: Traced) -> list[str]:
    return [s.target.name for s in traced.program.statements]


def users(traced: Traced) -> list[str]:
    return [s.target.name for s in traced.program.statements if s.user]


def letters(traced: Traced) -> list[str]:
    return ["".join(i.name for i in s.indices) for s in traced.program.statements]


# --------------------------------------------------------------------------------------------------
# Names and lines


def layer(X: Any, W: Any, b: Any) -> Any:
    score = X @ W + b
    hidden = np.tanh(score)
    return hidden.sum(axis=0)


def test_values_have_the_users_names() -> None:
    traced = trace(layer, {"X": Spec((5, 3)), "W": Spec((3, 2)), "b": Spec((2,))})
    assert names(traced) == ["t1", "score", "hidden", "Y"]
    assert users(traced) == ["score", "hidden"]


def test_statements_quote_their_lines() -> None:
    traced = trace(layer, {"X": Spec((5, 3)), "W": Spec((3, 2)), "b": Spec((2,))})
    texts = [s.source.text for s in traced.program.statements]
    assert texts == [
        "score = X @ W + b",
        "score = X @ W + b",
        "hidden = np.tanh(score)",
        "return hidden.sum(axis=0)",
    ]
    first = layer.__code__.co_firstlineno
    assert [s.source.line - first for s in traced.program.statements] == [1, 1, 2, 3]
    assert all(s.source.file == __file__ for s in traced.program.statements)


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def dense(x: Any, W: Any) -> Any:
    z = x @ W
    return relu(z)


def test_names_go_through_returns_of_other_functions() -> None:
    def model(x: Any, W: Any) -> Any:
        h = dense(x, W)
        h = dense(h, W)
        return h

    traced = trace(model, {"x": Spec((2, 3)), "W": Spec((3, 3))})
    assert names(traced) == ["z", "h", "z_1", "h_1"]
    assert traced.program.statements[1].source.text == "return np.maximum(x, 0)"


def test_an_argument_keeps_its_name_when_the_variable_is_reused() -> None:
    def model(x: Any) -> Any:
        x = x * 2
        x = x + 1
        return x

    assert names(trace(model, {"x": Spec((3,))})) == ["x_1", "x_2"]


def test_names_of_parallel_chained_annotated_and_inner_assignments() -> None:
    def model(x: Any) -> Any:
        a, b = x + 1, x * 2
        c = d = a * b
        e: Any = c - 1
        if (f := e * 3).ndim:
            e = f
        (g,) = [d + e]
        return g

    assert users(trace(model, {"x": Spec((3,))})) == ["a", "b", "c", "e", "f", "g"]


def test_lambdas_and_functions_without_source() -> None:
    space: dict[str, Any] = {"np": np}
    exec("def typed(x):\n    h = np.exp(x)\n    return h * 2\n", space)
    traced = trace(space["typed"], {"x": Spec((3,))})
    assert names(traced) == ["h", "Y"]
    assert [s.source.line for s in traced.program.statements] == [2, 3]
    assert names(trace(lambda x: np.exp(x) * 2, {"x": Spec((3,))})) == ["t1", "Y"]
    assert names(trace(np.exp, {"x": Spec((3,))})) == ["Y"]


def test_names_that_collide_are_numbered_apart() -> None:
    def model(t1: Any, Y: Any) -> Any:
        h = np.exp(t1 * 2)
        h_1 = h + Y
        h = h_1 * 2
        return (h + 1) * 2

    traced = trace(model, {"t1": Spec((3,)), "Y": Spec((3,))})
    assert names(traced) == ["t2", "h", "h_1", "h_2", "t3", "Y_1"]


def test_outputs_are_named_by_keys_or_as_results() -> None:
    traced = trace(lambda x: {"loss": (x * x).sum(), "out": [x + 1, x - 1]}, {"x": Spec((3,))})
    assert [t.name for t in traced.program.outputs] == ["loss", "Y", "Y_1"]
    assert [t.name for t in trace(lambda x: x.sum(), {"x": Spec((3,))}).program.outputs] == ["L"]


def test_equal_axes_have_equal_letters() -> None:
    traced = trace(layer, {"X": Spec((5, 3)), "W": Spec((3, 2)), "b": Spec((2,))})
    assert letters(traced) == ["ik", "ik", "ik", "k"]
    named = trace(
        layer,
        {
            "X": Spec((5, 3), axes=("n", "d")),
            "W": Spec((3, 2), axes=("d", "m")),
            "b": Spec((2,), axes=("m",)),
        },
    )
    assert letters(named) == ["nm", "nm", "nm", "m"]


def test_letters_are_distinct_and_no_tensors_names() -> None:
    traced = trace(lambda i, j: (i[:, None] - j) * i.sum(), {"i": Spec((4,)), "j": Spec((4,))})
    for statement in traced.program.statements:
        found = [index.name for index in statement.indices]
        assert len(set(found)) == len(found)
        assert not {"i", "j"} & set(found)


# --------------------------------------------------------------------------------------------------
# Forms of statements


def only(traced: Traced) -> Any:
    (statement,) = traced.program.statements
    return statement.body


def test_mean_is_a_scaled_sum() -> None:
    body = only(trace(lambda x: x.mean(axis=0), {"x": Spec((5, 3))}))
    assert isinstance(body, Mul)
    scale, summed = body.factors
    assert scale is Power(SizeOf(size(5)), number(-1).value)
    assert isinstance(summed, Reduce)
    assert (summed.op, len(summed.indices)) == ("sum", 1)


def test_variance_shares_the_users_mean_and_difference() -> None:
    def model(x: Any) -> Any:
        mu = x.mean(axis=0)
        centred = x - mu
        var = x.var(axis=0)
        return centred / np.sqrt(var + 1e-5)

    assert names(trace(model, {"x": Spec((5, 3))})) == ["mu", "centred", "var", "t1", "t2", "Y"]


def test_equal_operations_are_one_statement() -> None:
    traced = trace(lambda x: (x.T @ x) + (x.T @ x), {"x": Spec((5, 3))})
    assert len(traced.program.statements) == 3


def test_operations_that_change_nothing_are_no_statements() -> None:
    traced = trace(
        lambda x: x.astype(float).copy()[:].reshape(x.shape)[...] * 2, {"x": Spec((5, 3))}
    )
    assert len(traced.program.statements) == 1


def test_literal_exponents_and_comparisons_take_their_plain_forms() -> None:
    assert only(trace(lambda x: x**2, {"x": Spec(())})).exponent == 2
    assert only(trace(lambda x: np.sqrt(x), {"x": Spec(())})).exponent == number("1/2").value
    assert only(trace(lambda x: 2.0**x, {"x": Spec(())})).function == "pow"
    assert only(trace(lambda x: np.maximum(x, 0), {"x": Spec(())})).function == "maximum"
    greater = only(trace(lambda x: x > 1, {"x": Spec(())}))
    assert isinstance(greater, Guard)
    assert (greater.cond.op, greater.cond.left) == ("<", number(1))


def test_arange_beside_an_index_array_is_a_plain_subscript() -> None:
    traced = trace(
        lambda score, y: score[np.arange(5), y], {"score": Spec((5, 4)), "y": Spec((5,), "int64")}
    )
    wrapped, picked = traced.program.statements
    assert wrapped.target.name == "y_wrapped"
    assert not traced.constants
    (access,) = [a for a in accesses(picked.body) if a.tensor.name == "score"]
    assert access.subs[0].index is picked.indices[0]
    assert isinstance(access.subs[1].atom, Lookup)


def test_indices_that_cannot_be_negative_are_not_wrapped() -> None:
    traced = trace(lambda x: x[x.argmax(0), np.arange(3)], {"x": Spec((4, 3))})
    assert len(traced.program.statements) == 2
    unsigned = trace(lambda x, y: x[y], {"x": Spec((4,)), "y": Spec((3,), "uint8")})
    assert len(unsigned.program.statements) == 1


def test_constants_of_known_form_are_expressions_and_others_inputs() -> None:
    for constant, kind in [
        (np.arange(4), IndexOf),
        (np.full((4,), 2.5), type(number(1))),
        (np.eye(4), Guard),
        (np.tri(4), Guard),
    ]:
        traced = trace(lambda x, c=constant: x * c, {"x": Spec((4,))})
        assert not traced.constants
        assert any(isinstance(node, kind) for node in nodes(only(traced)))
    weights = np.array([0.3, 0.6, 0.1, 7.0])
    traced = trace(lambda x: x * weights + np.array([1.0, 5.0, 2.0, 0.0]), {"x": Spec((4,))})
    assert [t.name for t in traced.program.inputs] == ["x", "weights", "c2"]
    np.testing.assert_array_equal(traced.constants["weights"], weights)
    assert not np.shares_memory(traced.constants["weights"], weights)


@pytest.mark.parametrize(
    "constant",
    [
        np.array([2**60, 2**60 + 1, 2**60 + 2]),
        np.array([0.0, 1.0, np.nan]),
        np.array([0.0, 1.0, np.inf]),
        np.array([1.0, 2.5, 4.0]),
        np.array([5, 9]),
        np.array([0.0, 0.0, -0.0]),
        np.array([[0, 1, 2], [3, 4, 6], [7, 8, 9]]),
        np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0]]),
        np.array([[1, 0, 0], [0, 2, 0], [0, 0, 1]]),
        np.array([True, False, True]),
    ],
    ids=str,
)
def test_constants_that_only_look_like_a_known_form_stay_as_they_are(constant: Any) -> None:
    traced = trace(lambda x: np.where(x > 0, constant, x), {"x": Spec(())})
    (kept,) = traced.constants.values()
    np.testing.assert_array_equal(kept, constant)


def test_a_wide_constant_widens_the_array_first() -> None:
    traced = trace(lambda x: x * np.float64(0.1), {"x": Spec((4,), "float32")})
    assert [s.target.dtype for s in traced.program.statements] == ["float64", "float64"]
    weak = trace(lambda x: x * 0.1, {"x": Spec((4,), "float32")})
    assert [s.target.dtype for s in weak.program.statements] == ["float32"]


def test_functions_call_rows_of_the_scalar_table() -> None:
    body = only(trace(np.tanh, {"x": Spec((4,))}))
    assert isinstance(body, Apply)
    assert isinstance(body.args[0], Access)


# --------------------------------------------------------------------------------------------------
# Memory: what shares it in NumPy goes on as one


def test_in_place_operators_change_every_name_of_the_array() -> None:
    def model(x: Any) -> Any:
        h = x * 2
        same = h
        h += 1
        h *= x
        return h, same

    compare(model, np.array([1.0, 2.0, 3.0]))


def test_in_place_keeps_the_dtype() -> None:
    def model(x: Any, y: Any) -> Any:
        h = x * 2
        h += y
        return h

    compare(model, np.ones(3, np.float32), np.ones(3))


def test_in_place_on_a_copy_of_an_argument() -> None:
    def model(x: Any) -> Any:
        h = x.copy()
        h -= 1
        return h * x

    compare(model, np.array([1.0, 2.0, 3.0]))


def test_python_numbers_are_rebound_by_in_place_operators() -> None:
    def model(x: Any, rate: Any) -> Any:
        old = rate
        rate *= 2
        return x * rate, x * old

    compare(model, np.ones(3, np.float32), 0.5)


# --------------------------------------------------------------------------------------------------
# Arguments and results


@dataclasses.dataclass
class Parameters:
    W: Any
    b: Any


def test_nested_arguments_and_results() -> None:
    def model(p: Any, layers: Any, X: Any) -> Any:
        h = X @ p.W + p.b
        for k, layer in enumerate(layers):
            h = h * layer["scale"] + k
        return {"out": h, "all": (h.sum(), [p.b])}

    arguments = {
        "p": Parameters(np.ones((3, 2)), np.ones(2)),
        "layers": [{"scale": np.ones(2)}, {"scale": 2.0}],
        "X": np.ones((5, 3)),
    }
    traced = trace(model, arguments)
    assert [t.name for t in traced.program.inputs] == [
        "p_W",
        "p_b",
        "layers_0_scale",
        "layers_1_scale",
        "X",
    ]
    assert set(traced.result([1, 2, 3])) == {"out", "all"}


def test_static_arguments_pass_unchanged() -> None:
    def model(x: Any, axis: Any, mode: Any, flag: Any, nothing: Any = None) -> Any:
        assert mode == "mean"
        assert flag is True
        assert nothing is None
        return x.mean(axis=axis)

    traced = trace(model, {"x": Spec((2, 3)), "axis": 1, "mode": "mean", "flag": True})
    assert [t.name for t in traced.program.inputs] == ["x"]
    assert traced.program.outputs[0].shape == (size(2),)


def test_keyword_positional_and_variable_parameters() -> None:
    def model(a: Any, /, b: Any, *rest: Any, c: Any, **more: Any) -> Any:
        return a + b * c + sum(rest) + more["d"]

    traced = trace(model, {"a": 1.0, "b": 2.0, "rest": (3.0, 4.0), "c": 5.0, "more": {"d": 6.0}})
    assert [t.name for t in traced.program.inputs] == ["a", "b", "rest_0", "rest_1", "c", "more_d"]


def test_outputs_that_are_inputs_constants_or_repeated_are_copies() -> None:
    traced = trace(lambda x: (x, x, np.arange(3), 2.0, "text"), {"x": Spec((3,))})
    outputs = traced.program.outputs
    assert len(set(outputs)) == 4
    assert not set(outputs) & set(traced.program.inputs)
    assert traced.result([1, 2, 3, 4]) == (1, 2, 3, 4, "text")


def test_a_function_is_run_once_and_its_own_errors_pass() -> None:
    runs: list[int] = []

    def model(x: Any) -> Any:
        runs.append(1)
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        trace(model, {"x": Spec((3,))})
    assert runs == [1]


def test_printing_inside_a_traced_function() -> None:
    shown: list[str] = []

    def model(x: Any) -> Any:
        h = x * 2
        shown.append(f"{h} {h.mean():.3f}")
        return h

    trace(model, {"x": Spec((3,))})
    assert shown == ["<traced array h float64[3]> <traced array float64[]>"]


SEEDED = """
import numpy as np
from pullback.trace.tracer import Spec, trace

def model(X, W, y):
    table = np.array([0.5, 2.0, 7.0])
    score = X @ W * table
    a, b = score.max(1), score.std(0)
    return {"p": score[np.arange(5), y] - a, "q": [b, np.pad(score, 1, "reflect")]}

found = trace(model, {"X": Spec((5, 4)), "W": Spec((4, 3)), "y": Spec((5,), "int64")})
print(found.program)
"""


def test_a_trace_does_not_depend_on_the_hash_seed() -> None:
    texts = {
        subprocess.run(
            [sys.executable, "-c", SEEDED],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(texts) == 1
    assert "score" in texts.pop()

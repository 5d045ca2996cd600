"""The flat style against the interpreter's adjoints, finite differences, and the compact style."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pullback.backends.flat import spell_flat
from pullback.backends.gates import gates
from pullback.backends.numpy import spell_pair
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.notation.parse import parse
from pullback.runtime.load import load_module
from pullback.trace.named import trace_named
from tests.backends.agreement import compare, expected, program_of, values_for
from tests.backends.programs import CASES, Case
from tests.differences import close, differences

EXPANDED = ("sigmoid", "softplus")


def values_of(
    backward: Backward, sizes: Mapping[str, int], below: int = 2, seed: int = 0
) -> tuple[dict[str, Any], list[Any]]:
    values = values_for(backward.program.inputs, sizes, seed, below)
    shapes = [tuple(n.value(sizes) for n in t.shape) for t in backward.cotangents]
    random = np.random.default_rng(7)
    return values, [np.asarray(random.normal(size=shape)) for shape in shapes]


def gradients_of(
    source: str,
    backward: Backward,
    values: Mapping[str, Any],
    seeds: list[Any],
    keywords: Mapping[str, int],
) -> tuple[Any, Any]:
    module = load_module(source, "flat")
    copies = [values[t.name].copy() for t in backward.program.inputs]
    outputs, cache = module.forward(*copies, **keywords)
    given = [seed.copy() for seed in seeds]
    gradients = module.backward(given[0] if len(given) == 1 else tuple(given), cache)
    for seed, kept in zip(seeds, given, strict=True):
        np.testing.assert_array_equal(seed, kept)  # the caller's arrays are never changed
    for tensor, array in zip(backward.program.inputs, copies, strict=True):
        np.testing.assert_array_equal(array, values[tensor.name])
    results = gradients if isinstance(gradients, tuple) else (gradients,)
    for result in results:
        for array in (*given, *copies):
            assert not np.ndim(result) or not np.shares_memory(result, array), source
    return outputs, results


def check(backward: Backward, sizes: Mapping[str, int], below: int = 2, **options: Any) -> str:
    source = spell_flat(backward, **options)
    values, seeds = values_of(backward, sizes, below)
    keywords = {name: sizes[name] for name in backward.program.sizes}
    with np.errstate(all="ignore"):
        outputs, gradients = gradients_of(source, backward, values, seeds, keywords)
        program = backward.program
        wanted = expected(program.inputs, program.statements, program.outputs, values, sizes)
        compare(outputs, wanted, [t.name for t in program.outputs], source)
        known = {**values, **dict(zip((t.name for t in backward.cotangents), seeds, strict=True))}
        statements = (*backward.forward.statements, *backward.adjoints)
        inputs = (*program.inputs, *backward.cotangents)
        wanted = expected(inputs, statements, backward.gradients, known, sizes)
        found = gradients if len(gradients) > 1 else gradients[0]
        compare(found, wanted, [t.name for t in backward.gradients], source)
    return source


@pytest.mark.parametrize("case", CASES, ids=str)
def test_flat_source_agrees_with_the_interpreter(case: Case) -> None:
    backward = reverse(program_of(case.text))
    if not backward.wrt:
        pytest.skip("nothing to differentiate")
    names = dict.fromkeys(n for t in backward.program.inputs for e in t.shape for n in e.names())
    for given in case.sizes:
        sizes = {**dict.fromkeys(names, 3), **given}
        check(backward, sizes, case.below)
    check(backward, sizes, case.below, expand=EXPANDED, comments=False)


def test_every_intermediate_and_every_adjoint_has_a_name() -> None:
    backward = reverse(parse("f[] = sigmoid(w0[]*x0[] + w1[]*x1[] + w2[])"))
    source = check(backward, {})
    lines = [line.strip() for line in source.splitlines()]
    for name in ("p1", "p2", "s1", "s2", "f", "ds2", "ds1", "dp1", "dp2", "dw0", "dx1", "dw2"):
        assert sum(line.startswith(f"{name} = ") for line in lines) == 1, name
    assert lines.index(next(x for x in lines if x.startswith("ds2"))) < lines.index(
        next(x for x in lines if x.startswith("dw0"))
    )
    swaps = [line for line in lines if line.endswith("# multiply swaps")]
    assert len(swaps) == 4
    assert [line for line in lines if re.match(r"dw0 = dp1 \* x0\b", line)]


def test_a_function_can_be_expanded_into_its_gates() -> None:
    backward = reverse(parse("f[] = sigmoid(x[])"))
    kinds = [gate.kind for gate in gates(backward.program, ["sigmoid"])]
    assert kinds == ["negate", "exp", "add", "reciprocal"]
    assert "np.exp" in check(backward, {}, expand=["sigmoid"])


def test_a_line_holds_one_gate() -> None:
    backward = reverse(parse("y[n] = log(1 + exp(a[n]*b[n] - 3))*sqrt(a[n])/b[n]"))
    for gate in gates(backward.program):
        names = re.findall(r"\b(Add|Mul|Apply|Power)\(", gate.define.body.key)
        assert len(names) <= 2, gate  # a subtraction is Add and Mul(-1, ...)


def test_copies_add() -> None:
    source = check(reverse(parse("y[] = x[]*x[]*x[] + exp(x[]) + x[]")), {})
    added = [line for line in source.splitlines() if "copy: gradients add" in line]
    assert len(added) == 3
    assert all("dx" in line for line in added)


def test_equal_values_are_one_gate() -> None:
    program = parse("mu[d] = mean(n) X[n,d]\nv[d] = mean(n) (X[n,d] - mu[d])**2\n"
                    "Y[n,d] = (X[n,d] - mu[d])/sqrt(v[d])")  # fmt: skip
    differences_of = [g for g in gates(program) if g.kind == "add"]
    assert len(differences_of) == 1


def test_what_is_guarded_stays_guarded() -> None:
    backward = reverse(parse("Y[i] = where(X[i] < 500, exp(X[i]), 1)"))
    module = load_module(spell_flat(backward), "flat")
    X = np.array([1e3, np.inf, 1.0])
    with np.errstate(all="raise"):
        Y, cache = module.forward(X)
        gradient = module.backward(np.ones(3), cache)
    np.testing.assert_array_equal(Y, [1, 1, np.e])
    np.testing.assert_array_equal(gradient, [0, 0, np.e])


def test_conventions_are_passed_on() -> None:
    program = parse("Y[i] = relu(X[i])")
    zero = np.zeros(1)
    for name, value in (("zero", 0), ("one", 1), ("half", 0.5)):
        conventions = {"maximum": name}
        backward = reverse(program, None, conventions)
        module = load_module(spell_flat(backward, conventions=conventions), "flat")
        assert module.backward(np.ones(1), module.forward(zero)[1]) == [value]


def test_inputs_that_nothing_depends_on_get_zeros() -> None:
    program = parse("x[N]\nz[M]\ny[n] = 2*x[n]")
    if "z" not in [t.name for t in program.inputs]:
        pytest.skip("an input that isn't read is no input")
    check(reverse(program), {"N": 3, "M": 2})


def test_only_what_is_asked_for_is_computed() -> None:
    program = parse("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    b = next(t for t in program.inputs if t.name == "b")
    source = check(reverse(program, [b]), {"N": 3, "D": 2, "M": 4})
    assert "dX" not in source
    assert "dW" not in source


def loss(X, W, b, y):
    S = np.maximum(X @ W + b, 0)
    S = S - S.max(axis=1, keepdims=True)
    e = np.exp(S)
    P = e / e.sum(axis=1, keepdims=True)
    return -np.log(P[np.arange(len(y)), y]).mean() + 0.1 * (W**2).sum()


def batch_norm(X, g, b):
    return g * (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 1e-5) + b


def pieces(X, Y):
    Z = np.concatenate([X[1:], Y[::-1]], axis=0)
    return np.where(Z > 0, Z * Z, np.tanh(Z)), np.prod(Z, axis=1), np.pad(X, 1, mode="edge")


@pytest.mark.parametrize(
    ("function", "specs"),
    [
        (loss, {"X": "N D", "W": "D C", "b": "C", "y": "N: int64"}),
        (batch_norm, {"X": "N D", "g": "D", "b": "D"}),
        (pieces, {"X": "N D", "Y": "M D"}),
    ],
)
def test_programs_traced_from_numpy(function: Any, specs: dict[str, str]) -> None:
    backward = reverse(trace_named(function, specs).program)
    sizes = {"N": 4, "D": 3, "C": 3, "M": 2}
    source = check(backward, sizes, below=3)
    values, seeds = values_of(backward, sizes, 3)
    _, found = gradients_of(source, backward, values, seeds, {})
    inputs = [values[t.name] for t in backward.program.inputs]

    def total(*given: Any) -> Any:
        out = function(*given)
        results = out if isinstance(out, tuple) else (out,)
        return sum(np.sum(seed * value) for seed, value in zip(seeds, results, strict=True))

    for which, tensor in enumerate(backward.program.inputs):
        if tensor.kind == "float":
            wanted = differences(total, inputs, np.asarray(1.0), which)
            assert close(found[backward.wrt.index(tensor)], wanted), source


def test_what_is_repeated_along_an_axis_is_not_changed_in_place() -> None:
    program = parse("A[N, 1]\nt[n] = sum(i) A[n,0]*B[n,i]\ny[n] = t[n] + sum(i) sin(B[n,i])")
    check(reverse(program), {"N": 3, "I": 2})


def test_dtypes_are_kept() -> None:
    program = trace_named(batch_norm, {"X": "N D: float32", "g": "D: float32", "b": "D: float32"})
    backward = reverse(program.program)
    module = load_module(spell_flat(backward), "flat")
    random = np.random.default_rng(0)
    given = [random.normal(size=s).astype(np.float32) for s in ((5, 3), (3,), (3,))]
    Y, cache = module.forward(*given)
    gradients = module.backward(Y, cache)
    assert Y.dtype == np.float32
    assert [g.dtype for g in gradients] == [np.float32] * 3


def test_flat_and_compact_agree() -> None:
    program = parse("mu[d] = mean(n) X[n,d]\nv[d] = mean(n) (X[n,d] - mu[d])**2\n"
                    "Y[n,d] = g[d]*(X[n,d] - mu[d])/sqrt(v[d] + 1e-5) + b[d]")  # fmt: skip
    backward = reverse(program)
    values, seeds = values_of(backward, {"N": 5, "D": 3})
    _, flat = gradients_of(spell_flat(backward), backward, values, seeds, {})
    _, compact = gradients_of(spell_pair(backward), backward, values, seeds, {})
    for one, other in zip(flat, compact, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_remarks_can_be_left_out_and_are_comments() -> None:
    backward = reverse(parse("y[n] = max(m) (A[n,m]*x[m]) + relu(x[n])"))
    plain = spell_flat(backward, comments=False)
    assert "#" not in plain
    tokens = tokenize.generate_tokens(io.StringIO(spell_flat(backward)).readline)
    code = [t.string for t in tokens if t.type not in (tokenize.COMMENT, tokenize.NL)]
    tokens = tokenize.generate_tokens(io.StringIO(plain).readline)
    assert code == [t.string for t in tokens if t.type != tokenize.NL]


def test_gates_compute_the_program() -> None:
    program = parse("P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])\nL[] = -mean(n) log(P[n,y[n]])")
    split = Program(
        program.inputs, tuple(g.define for g in gates(program)), program.outputs, program.sizes
    )
    values = values_for(program.inputs, {"N": 4, "C": 3}, 0, 3)
    assert run(split, values)["L"].flat[0] == pytest.approx(run(program, values)["L"].flat[0])

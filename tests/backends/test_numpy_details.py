"""What NumPy source promises besides its values: names, memory, warnings, readable lines."""

from __future__ import annotations

import inspect
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.backends.numpy import spell, spell_pair
from pullback.backends.python.code import Code, binary, minus
from pullback.backends.python.names import Names, identifier
from pullback.calculus.reverse import reverse
from pullback.calculus.step import Backward
from pullback.ir.expr import Access, Expr, Mul, Tensor, add, mul, power
from pullback.ir.program import Define, Source
from pullback.ir.sizes import size
from pullback.ir.subscripts import Index, at
from pullback.notation.parse import parse
from pullback.runtime.load import load, load_module
from tests.differences import differences

N = size("N")


def pair(text: str) -> tuple[str, Any]:
    """The source of a text's forward and backward pass, and its module."""
    source = spell_pair(reverse(parse(text)))
    return source, load_module(source, "pair")


def backward_lines(text: str) -> list[str]:
    """The statements of the backward pass, without comments."""
    source, _ = pair(text)
    body = source.split("def backward(")[1].splitlines()[1:]
    return [line.strip() for line in body if line.strip() and not line.strip().startswith("#")]


# --- what a good engineer writes ---


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", "dX = dY @ W.T"),
        ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", "dW = X.T @ dY"),
        ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", "db = dY.sum(axis=0)"),
        ("Y[n,d] = relu(X[n,d])", "dX = dY * (X > 0)"),
        ("L[] = mean(n,d) X[n,d]", "dX = np.full((N, D), dL / D / N)"),
        ("X[N]\nY[i:N//2] = X[2*i+1]", "dX[1::2] = dY"),
        ("Y[i] = X[i,i]", "dX[np.arange(N), np.arange(N)] = dY"),
        ("Y[h,d] = X[d,h]", "dX = dY.T.copy()"),
        ("Y[n,m] = -u[n]*v[m]*w[n,m]*0 - u[n]*v[m]", "du = -(dY @ v)"),
        (
            "S[n,m] = sum(d) X[n,d]*Z[m,d]; L[] = sum(n) log(sum(m) exp(S[n,m]))",
            "dS = (dL / t2)[:, None] * t1",
        ),
        (
            "A[N,N]; L[] = sum(i) A[i,i]*w[i] + sum(i,j) A[i,j]",
            "dA[np.arange(N), np.arange(N)] += dL * w",
        ),
        ("X[N,M]\nY[i:N,j:M] = sum(m:3) pad(X,0)[i,j-m]", "dX[:, 2 - m2:M - m2 + 2] += dY"),
    ],
)
def test_a_gradient_is_the_line_a_person_writes(text: str, line: str) -> None:
    shapes = "" if "X[N]" in text else "X[N,D]\n" if "X[n,d]" in text else ""
    shapes = "X[N,N]\n" if "X[i,i]" in text else shapes
    assert line in backward_lines(shapes + text)


@pytest.mark.parametrize(
    "text",
    [
        "Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]",
        "Y[i,l] = sum(j,k) A[i,j]*B[j,k]*C[k,l]",
        "X[B,N,D]\nW[B,D,M]\nY[b,n,m] = sum(d) X[b,n,d]*W[b,d,m]",
        "X[N,C,H,W]\nK[O,C,3,3]\nY[n,o,i:H,j:W] = sum(c,p,q) pad(X,0)[n,c,i+p-1,j+q-1]*K[o,c,p,q]",
        "X[N,D]\nG[a,b] = sum(n) X[n,a]*X[n,b]",
    ],
)
def test_products_are_no_einsum_and_no_broadcast_products(text: str) -> None:
    source, _ = pair(text)
    assert "einsum" not in source
    assert not re.search(r"\(\w+\[[^]]*None[^]]*\] \* \w+[^()]*\)\.sum", source)


def test_a_value_used_once_stands_where_it_is_used() -> None:
    source, _ = pair("Y[n,m] = tanh(sum(d) X[n,d]*W[d,m] + b[m])")
    assert "Y = np.tanh(X @ W + b)" in source


def test_a_value_needed_twice_is_computed_once() -> None:
    program = parse("X[N]\nY[i] = exp(X[i])/(1 + exp(X[i]))")
    source = spell("f", program.inputs, program.statements, program.outputs)
    assert source.count("np.exp") == 1


def test_every_gradient_names_the_line_it_comes_from() -> None:
    program = parse("H[n,m] = relu(sum(d) X[n,d]*W[d,m])\nY[n,k] = sum(m) H[n,m]*V[m,k]")
    source = spell_pair(reverse(program))
    assert "# gradient of H, from H[n,m] = relu(sum(d) X[n,d]*W[d,m])" in source
    bare = spell_pair(reverse(program), comments=False)
    assert "#" not in bare
    code = [line for line in source.splitlines() if not line.strip().startswith("#")]
    assert code == bare.splitlines()


def test_comments_stay_on_their_line() -> None:
    i = Index("i", N)
    x = Tensor("x", (N,))
    body = add(Access(x, (at(i),)), Access(x, (at(i),)))
    define = Define(Tensor("y", (N,)), (i,), body, Source("a\n    import os\r\x0c\u2028b\0"))
    source = spell("f", [x], [define], [define.target])
    assert "# a import os b" in source
    assert next(line for line in source.splitlines() if "import os" in line).strip()[0] == "#"


# --- names ---


@pytest.mark.parametrize(
    "name",
    ["lambda", "np", "sum", "print", "x'", "2x", "γ", "a b", "é", "__import__", "x; import os",
     "range", "cache", "None", "scipy", "日", "a\nb", "forward", "_"],
)  # fmt: skip
def test_any_name_becomes_an_identifier(name: str) -> None:
    text = Names().fresh(name)
    assert text.isidentifier() and text.isascii()
    assert text not in ("np", "sum", "lambda", "None", "print", "range", "__import__")


def test_names_that_look_alike_stay_apart() -> None:
    names = Names()
    found = [names.fresh(name) for name in ("x'", "x_", "x", "x'", "γ", "gamma", "lambda")]
    assert len(set(found)) == len(found)
    assert identifier("γ") == "gamma"


def test_odd_names_of_tensors_indices_and_sizes_run() -> None:
    n = size("lambda")
    i = Index("import", n)
    x, y, z = (Tensor(name, (n,)) for name in ("np", "x; import os", "np'"))
    first = Define(y, (i,), mul(Access(x, (at(i),)), Access(x, (at(i),))))
    second = Define(z, (i,), add(Access(y, (at(i),)), Access(x, (at(i),))))
    source = spell("class", [x], [first, second], [z])
    found = load(source, "class_")(np.arange(3.0))
    np.testing.assert_array_equal(found, [0.0, 2.0, 6.0])


# --- sizes ---


def test_sizes_come_from_shapes_and_others_are_keywords() -> None:
    _, module = pair("X[N]\nY[i:M] = X[i % N]")
    assert list(inspect.signature(module.forward).parameters) == ["X", "M"]
    out, cache = module.forward(np.arange(3.0), M=7)
    np.testing.assert_array_equal(out, [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(module.backward(np.ones(7), cache), [3, 2, 2])


def test_sizes_in_compound_extents_are_solved_for() -> None:
    program = parse("X[2*N + 1, M]\nY[i:N, j] = X[i + 1, j]*N")
    source = spell("f", program.inputs, program.statements, program.outputs)
    found = load(source, "f")(np.ones((7, 2)))
    np.testing.assert_array_equal(found, np.full((3, 2), 3.0))


# --- memory ---


@pytest.mark.parametrize(
    "text",
    ["X[N,M]\nY[i,j] = X[i,j]", "X[N,M]\nY[j,i] = X[i,j]", "X[N,N]\nY[i] = X[i,i]",
     "X[4,M]\nY[(i,j)] = X[i,j]", "X[N,M]\nY[i:N,j:2] = X[i,j+0]*[j < M]",
     "X[N,M]\nA[i,j] = X[i,j]\nB[i,j] = A[i,j]\nreturn A, B, A"],
)  # fmt: skip
def test_results_share_no_memory(text: str) -> None:
    program = parse(text)
    x = np.arange(16.0).reshape(4, 4)
    found = load(spell("f", program.inputs, program.statements, program.outputs), "f")(x)
    results = found if isinstance(found, tuple) else (found,)
    for n, result in enumerate(results):
        assert result.flags.writeable
        assert not any(np.shares_memory(result, other) for other in (x, *results[:n]))


@pytest.mark.parametrize("order", ["C", "F"])
def test_gathers_accumulate_in_any_layout(order: str) -> None:
    _, module = pair("W[V,D]\nY[n,d] = W[idx[n],d]*W[idx[n],d]")
    w = np.asarray(np.random.default_rng(0).normal(size=(4, 3)), order=order)
    idx = np.array([1, 1, 3, 1])
    _, cache = module.forward(w, idx)
    dy = np.asfortranarray(np.random.default_rng(1).normal(size=(4, 3)))
    expected = np.zeros((4, 3))
    for k, row in enumerate(idx):
        expected[row] += 2 * dy[k] * w[row]
    np.testing.assert_allclose(module.backward(dy, cache), expected)


def test_the_cache_holds_what_the_backward_pass_reads() -> None:
    _, module = pair("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]")
    x, w, b = np.ones((3, 2)), np.ones((2, 4)), np.ones(4)
    _, cache = module.forward(x, w, b)
    assert len(cache) == 2 and cache[0] is x and cache[1] is w


# --- numbers ---


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("Y[i] = where(X[i] < 500, exp(X[i]), 1)", [1e3, np.inf, 0.0], [0.0, 0.0, 1.0]),
        ("Y[i] = where(X[i] > 0, log(X[i]), 0)", [-1.0, 0.0, 2.0], [0.0, 0.0, 0.5]),
        ("Y[i] = [X[i] > 0]*sqrt(X[i])", [-4.0, 0.0, 4.0], [0.0, 0.0, 0.25]),
        ("Y[i] = where(X[i] < 500, X[i]**2, 1)", [np.inf, 1.0], [0.0, 2.0]),
    ],
)
def test_a_branch_not_taken_leaves_no_nan_and_no_warning(
    text: str, values: list[float], wanted: list[float]
) -> None:
    _, module = pair(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, cache = module.forward(np.array(values))
        found = module.backward(np.ones(len(values)), cache)
    np.testing.assert_allclose(found, wanted)


def test_sigmoid_and_softplus_are_stable() -> None:
    _, module = pair("Y[i] = sigmoid(X[i])\nZ[i] = softplus(X[i])\nreturn Y, Z")
    x = np.array([-800.0, -50.0, 0.0, 50.0, 800.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (sigmoid, softplus), _ = module.forward(x)
    np.testing.assert_allclose(sigmoid, [0, np.exp(-50), 0.5, 1, 1], rtol=1e-15)
    np.testing.assert_allclose(softplus, [0, np.exp(-50), np.log(2), 50, 800], rtol=1e-15)


def test_a_maximum_of_nothing_is_numpys_error() -> None:
    program = parse("X[N,D]\nY[n] = max(d) X[n,d]")
    source = spell("f", program.inputs, program.statements, program.outputs)
    with pytest.raises(ValueError, match="zero-size array"):
        load(source, "f")(np.ones((2, 0)))


def test_an_argument_outside_a_table_row_raises() -> None:
    _, module = pair("W[V,D]\nY[n,d] = W[idx[n],d]")
    with pytest.raises(IndexError):
        module.forward(np.ones((3, 2)), np.array([0, 3]))


# --- source that runs ---


def test_tracebacks_show_generated_lines() -> None:
    function = load("def f(x):\n    y = x + 1\n    return y.missing\n", "f")
    try:
        function(1)
    except AttributeError:
        text = traceback.format_exc()
    assert "return y.missing" in text
    assert "y = x + 1" in inspect.getsource(function)


def test_functions_are_apart() -> None:
    first, second = (load(f"k = {n}\ndef f():\n    return k\n", "f") for n in (1, 2))
    assert (first(), second()) == (1, 2)


def test_special_functions_import_what_they_need() -> None:
    source, module = pair("Y[i] = erf(X[i])")
    assert "import scipy.special" in source
    out, _ = module.forward(np.array([0.5]))
    np.testing.assert_allclose(out, [0.5204998778130465])
    assert "scipy" not in pair("Y[i] = tanh(X[i])")[0]


def test_source_is_a_function_of_the_program() -> None:
    text = "H[n,m] = relu(sum(d) X[n,d]*W[d,m] + b[m])\nY[n,k] = sum(m) H[n,m]*V[m,k]"
    assert pair(text)[0] == pair(text)[0]


def test_code_is_parenthesised_as_it_binds() -> None:
    a, b, c = map(Code, "abc")
    assert str(binary("*", binary("+", a, b), c)) == "(a + b) * c"
    assert str(binary("-", a, binary("-", b, c))) == "a - (b - c)"
    assert str(binary("**", minus(a), b)) == "(-a) ** b"
    assert str(minus(binary("+", a, b))) == "-(a + b)"


def test_backward_of_several_outputs_takes_a_tuple() -> None:
    back: Backward = reverse(parse("A[n] = X[n]**2\nB[n] = exp(X[n])\nreturn A, B"))
    module = load_module(spell_pair(back), "pair")
    x = np.array([0.5, -1.0])
    (a, b), cache = module.forward(x)
    found = module.backward((np.ones(2), np.array([2.0, 3.0])), cache)
    np.testing.assert_allclose(found, 2 * x + np.array([2.0, 3.0]) * np.exp(x))
    np.testing.assert_allclose((a, b), (x**2, np.exp(x)))


def test_the_gradient_of_weights_after_a_flattening_is_one_product() -> None:
    program = parse("X[N,16,2,2]\nF[n,(c,h,w)] = X[n,c,h,w]\nY[n,m] = sum(d) F[n,d]*W[d,m]")
    source = spell_pair(reverse(program))
    assert "for " not in source
    assert "dW = np.tensordot(X, dY, axes=(0, 0)).reshape(64, M)" in source


def test_rows_of_a_table_are_added_as_rows() -> None:
    source = spell_pair(reverse(parse("t: int[N]\nE[V,D]\nY[n,d] = E[t[n],d]")))
    assert "np.add.at(dE, t_index, dY)" in source


def test_a_pixel_shuffle_is_reshaped_both_ways() -> None:
    program = parse(
        "X[N,12,H,W]\nV[n,c:3,a:2,b:2,h,w] = X[n,(c,a,b),h,w]\nY[n,c,(h,a),(w,b)] = V[n,c,a,b,h,w]"
    )
    source = spell_pair(reverse(program))
    assert source.count(".transpose(") == 2 and "arange" not in source and "add.at" not in source


def test_the_gradient_of_a_depthwise_kernel_is_a_loop_over_its_taps() -> None:
    program = parse("X[C,H,W]\nK[C,3,3]\nY[c,i:H-2,j:W-2] = sum(p,q) X[c,i+p,j+q]*K[c,p,q]")
    source = spell_pair(reverse(program))
    assert source.count("for p, q in np.ndindex(3, 3):") == 3
    assert source.count("for ") == 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("factors", [(1e-200, 1e200), (1e-50, 1e50), (1e300, 1e300), (1e39,)])
def test_literals_beyond_the_range_of_a_dtype_are_what_numpy_makes_of_them(dtype, factors):
    x = np.array([-1.5, 0.0, 2.0], dtype)

    def scaled(x):
        for factor in factors:
            x = x * factor
        return x

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, _ = pullback.vjp(scaled, x)
        expected = scaled(x)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_ends_that_the_forward_pass_reads_are_there() -> None:
    """Where it has an interior of N - 2 places, the first and the last place exist: no mask."""

    def fixed(u):
        inner = u[1:-1] + 0.2 * (u[:-2] - 2 * u[1:-1] + u[2:])
        return np.concatenate([u[:1], inner, u[-1:]])

    source = pullback.derive(fixed, u="N").source()
    backward = source[source.index("def backward") :]
    assert "np.pad" not in backward and "arange" not in backward
    module = load_module(source, "fixed")
    for n in (2, 3, 6):
        u, seed = np.random.default_rng(n).normal(size=(2, n))
        found = module.backward(seed, module.forward(u)[1])
        np.testing.assert_allclose(found, differences(fixed, (u,), seed, 0), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("valid", [True, False])
def test_the_adjoint_of_a_gather_under_a_condition_is_scattered(valid: bool) -> None:
    """Where the condition fails a place may be anywhere, unless it is read there, too."""
    condition = "x[t[n]] > 0" if valid else "m[n] > 0"
    text = f"t: int[L]\nx[N]\nm[L]\nY[n] = where({condition}, m[n]*x[t[n]], 0)"
    source, module = pair(text)
    rng = np.random.default_rng(3)
    x, m, t = rng.normal(size=4), rng.normal(size=9), rng.integers(0, 4, 9)
    kept = x[t] > 0 if valid else m > 0
    if not valid:
        t[~kept] = 99
    _, cache = module.forward(t, x, m)
    dx, dm = module.backward(np.ones(9), cache)
    expected = np.zeros(4)
    np.add.at(expected, t[kept], m[kept])
    np.testing.assert_allclose(dx, expected)
    np.testing.assert_allclose(dm, [x[t[n]] if kept[n] else 0 for n in range(9)])
    assert "np.add.at(dx, " in source and "[:, None]" not in source
    assert ("place = " in source) is not valid


def test_the_adjoint_of_a_gather_is_scattered_where_another_gradient_reads_it() -> None:
    def loss(x: Any, t: Any, g: Any, order: Any) -> Any:
        return (np.maximum((1 - x * t)[order], 0) * g).sum()

    shapes = {"x": "N", "t": "N", "g": "N", "order": "N: int64"}
    source = pullback.derive(loss, wrt="x", **shapes).source()
    assert "np.subtract.at(" in source and "np.arange" not in source


SUBTRACTED = {
    "twice": "g[N]; x[K]; y: int[N]; L[] = -sum(n) g[n]*x[y[n]]",
    "square": "g[N]; x[K]; y: int[N]; L[] = sum(n) (g[n] - x[y[n]])**2",
    "rows": "B[N, M]; A[K, M]; y: int[N]; L[] = sum(n,m) (B[n,m] - A[y[n],m])**2",
    "numbers": "g[N]; x[K]; y: int[N]; L[] = sum(n) g[n]*(1 - 3*x[y[n]])**2",
    "beside": "g[N]; x[K]; y: int[N]; L[] = (sum(n) (g[n] - x[y[n]])**2) + sum(k) x[k]**3",
    "one a row": "g[N]; A[N, K]; y: int[N]; L[] = (sum(n,k) A[n,k]**2) - sum(n) g[n]*A[n,y[n]]",
    "a condition": "g[N]; x[K]; y: int[N]; L[] = sum(n) relu(g[n] - x[y[n]])**2",
    "neighbours": "g[N]; x[N]; L[] = sum(i:N-1) (g[i+1] - g[i])**2*x[i]",
    "beside neighbours": "g[N]; L[] = (sum(i) g[i]**2) - sum(i:N-1) (g[i+1]*g[i])**2",
    "a factor": "g[N]; c[]; L[] = 0.3*c[]*((sum(i) g[i]**2) + 2*sum(i:N-1) (g[i+1] - g[i])**2)",
}


@pytest.mark.parametrize("text", SUBTRACTED.values(), ids=list(SUBTRACTED))
@pytest.mark.parametrize("count", [1, 2, 7])
def test_what_is_subtracted_at_places_agrees_with_differences(text: str, count: int) -> None:
    rng = np.random.default_rng(count)
    derivation = pullback.derive(text)
    module = load_module(derivation.source(), "subtracted")
    sizes = {"N": count, "K": 3, "M": 2}
    inputs = derivation.backward.program.inputs
    arrays = [
        rng.integers(0, 3, count) if t.kind == "int"
        else np.asarray(rng.normal(size=[n.value(sizes) for n in t.shape]))
        for t in inputs
    ]  # fmt: skip
    found = module.backward(np.float64(1), module.forward(*arrays)[1])
    places = [k for k, t in enumerate(inputs) if t.kind == "float"]
    for place, gradient in zip(places, found if len(places) > 1 else (found,), strict=True):
        expected = differences(lambda *a: module.forward(*a)[0], arrays, np.ones(()), place)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mask_of_rows_meets_what_has_an_element_a_row_first(dtype: str) -> None:
    text = "L[] = sum(n) s[n]*relu((sum(d) X[n,d]*Z[n,d]) + 1)"
    source, module = pair(text)
    assert "dX = (dL * s * (t3 > 0))[:, None] * Z" in source
    rng = np.random.default_rng(5)
    s, X, Z = (rng.normal(size=k).astype(dtype) for k in (6, (6, 3), (6, 3)))
    _, cache = module.forward(s, X, Z)
    ds, dX, dZ = module.backward(np.dtype(dtype).type(1.5), cache)
    kept = ((X * Z).sum(axis=1) + 1 > 0)[:, None]
    np.testing.assert_allclose(dX, 1.5 * s[:, None] * Z * kept, rtol=1e-5)
    np.testing.assert_allclose(dZ, 1.5 * s[:, None] * X * kept, rtol=1e-5)
    assert {a.dtype for a in (ds, dX, dZ)} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "text",
    [
        "X[N]\nw[K]\nY[i:N-K+1] = sum(j) w[j]*X[i+j]",
        "X[N]\nw[K]\nY[i:N-2*K+2] = sum(j) w[j]*X[i+2*j]",
        "X[B,N]\nw[K]\nY[b,i:N-K+1] = sum(j) w[j]*exp(X[b,i+j])",
    ],
)
def test_a_loop_runs_over_the_window_not_over_its_places(text: str) -> None:
    source, module = pair(text)
    loops = re.findall(r"for \w+ in (.*):", source)
    assert loops and set(loops) == {"range(K)"}
    rng = np.random.default_rng(4)
    X, w = rng.normal(size=(2, 9) if "b" in text else 9), rng.normal(size=3)
    step, f = (2, np.asarray) if "2*j" in text else (1, np.exp if "exp" in text else np.asarray)
    count = 9 - step * 2
    windows = [f(X)[..., step * j : step * j + count] for j in range(3)]
    value, cache = module.forward(X, w)
    np.testing.assert_allclose(value, sum(a * b for a, b in zip(windows, w, strict=True)))
    dY = rng.normal(size=value.shape)
    dX, dw = module.backward(dY, cache)
    np.testing.assert_allclose(dw, [(dY * part).sum() for part in windows])
    expected = np.zeros_like(X)
    for j in range(3):
        expected[..., step * j : step * j + count] += dY * w[j]
    np.testing.assert_allclose(dX, expected * (np.exp(X) if "exp" in text else 1))


@pytest.mark.parametrize("seed", range(60))
def test_outer_products_have_all_their_factors_however_often_one_stands(seed: int) -> None:
    """Once a vector that stood twice beside another's axis was left out."""
    random = Random(seed)
    program = parse("Y[n,m] = u[n]*v[m]*w[m]; u[N]; v[M]; w[M]")
    n, m = program.statements[0].indices
    read = {t.name: Access(t, (at(n if t.name == "u" else m),)) for t in program.inputs}
    rng = np.random.default_rng(seed)
    values = {name: rng.uniform(0.5, 2, 3 if name == "u" else 4) for name in "uvw"}
    placed = {"u": values["u"][:, None], "v": values["v"], "w": values["w"]}
    factors: list[Expr] = []
    expected = np.ones((3, 4))
    for name in ["u", "v", *random.choices("uvw", k=random.randint(1, 5))]:
        exponent, nested = random.choice([1, 1, -1]), random.random() < 0.3
        factor = power(read[name], exponent)
        factors.append(Mul((factor, read["w"])) if nested else factor)
        expected = expected * placed[name] ** float(exponent) * (placed["w"] if nested else 1)
    target = Tensor("Z", program.statements[0].target.shape, "float")
    made = Define(target, (n, m), Mul(tuple(factors)))
    backward = replace(
        reverse(program), statements=(made,), gradients=(target,), wrt=program.inputs[:1]
    )
    module = load_module(spell_pair(backward), "pair")
    _, cache = module.forward(**values)
    np.testing.assert_allclose(module.backward(np.ones((3, 4)), cache), expected, rtol=1e-12)


@pytest.mark.parametrize("text", ["Y[] = X[]*3 + [2*K > 3]", "Y[i] = X[i]*[K > 4] + 2*[2*K > 3]"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_condition_on_sizes_alone_is_a_number(text: str, count: int) -> None:
    X = np.float32(0.5) * np.ones((3,) if "i" in text else (), np.float32)
    _, module = pair(f"size K\n{text}")
    Y, _ = module.forward(X, K=count)
    told = (3 * X if "i" not in text else X * (count > 4)) + (2 * count > 3) * (1 + ("i" in text))
    assert Y.dtype == np.float32
    np.testing.assert_allclose(Y, told)


def test_long_subscripts_are_read_from_an_open_grid() -> None:
    lines = backward_lines("X[N,C,H,W]\nY[n,c,i:H//2,j:W//2] = max(p:2,q:2) X[n,c,2*i+p,2*j+q]")
    assert "n, c, i, j = np.ogrid[:N, :C, :I, :J]" in [
        line.replace("h, w", "i, j") for line in lines
    ]


@pytest.mark.parametrize("seed", range(6))
def test_arithmetic_in_the_memory_of_new_arrays(seed: int) -> None:
    """Scaled, shifted and divided, a sum that a loop builds has the values of the statement, and
    nothing that is read later is written over."""
    rng = np.random.default_rng(seed)
    text = (
        "t[i,j] = a[j]*(sum(m:3) pad(X,0)[i+m-1,j]) + 2 - b[i]\n"
        "Y[i,j] = X[i,j]*t[i,j]/(1 + (sum(m:3) pad(X,0)[i+m-1,j])**2)"
    )
    X, a, b = rng.normal(size=(5, 4)), rng.normal(size=4), rng.normal(size=5)
    _, module = pair(text)
    padded = np.pad(X, ((1, 1), (0, 0)))
    total = padded[:-2] + padded[1:-1] + padded[2:]
    Y, _ = module.forward(X=X, a=a, b=b)
    np.testing.assert_allclose(Y, X * (a * total + 2 - b[:, None]) / (1 + total**2))
    X_before = X.copy()
    derivation = pullback.derive(text)
    assert derivation.verify().passed
    np.testing.assert_array_equal(X, X_before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X[N,N,4]\nY[l:8] = sum(i) X[i,i,l%4]", lambda X, m: np.tile(np.einsum("iik->k", X), 2)),
        ("X[N,N,4]\nY[i,l:8] = X[i,i,l%4]", lambda X, m: np.tile(np.einsum("iik->ik", X), 2)),
        ("X[N,N,K]\nm: int[N]\nY[i,l] = X[i,i,m[l]]", lambda X, m: np.einsum("iik->ik", X)[:, m]),
        ("X[K,N,N]\nm: int[N]\nY[i,l] = X[m[l],i,i]", lambda X, m: np.einsum("kii->ik", X)[:, m]),
        ("X[N,K,N]\nm: int[N]\nY[i,l] = X[i,m[l],i]", lambda X, m: np.einsum("iki->ik", X)[:, m]),
        ("X[N,K,N]\nm: int[N]\nY[i] = X[i,m[i],i]", lambda X, m: X[[0, 1, 2, 3], m, [0, 1, 2, 3]]),
        (
            "X[N,N,K,K]\nm: int[N]\nY[i,k,l] = X[i,i,k,k]*(X[i,i,k,m[l]])",
            lambda X, m: np.einsum("iikk->ik", X)[:, :, None] * np.einsum("iikl->ikl", X)[:, :, m],
        ),
    ],
)  # fmt: skip
def test_one_index_at_two_axes_beside_a_gather(text: str, expected: Any) -> None:
    """An index at two axes reads a diagonal, also where other axes are gathered."""
    derivation = pullback.derive(text)
    rng = np.random.default_rng(0)
    shape = tuple(s.value({"N": 4, "K": 4}) for s in derivation.backward.program.inputs[0].shape)
    X, m = rng.normal(size=shape), rng.integers(0, 4, size=4)
    forward, _ = derivation.compile()
    named = {"X": X, "m": m} if "m:" in text else {"X": X}
    np.testing.assert_allclose(forward(**named)[0], expected(X, m))
    assert derivation.verify().passed


def test_what_a_loop_builds_takes_the_width_of_what_it_meets() -> None:
    """The array that a loop adds up has the width of the first input; a wider one isn't written
    into it."""
    _, module = pair("X: float32[N]\nW[3]\nY[i:N] = 2*(sum(p:3) pad(X,0)[i+p]*W[p]) + W[0]")
    Y, _ = module.forward(X=np.ones(4, np.float32), W=np.full(3, 0.1))
    assert Y.dtype == np.float64


@pytest.mark.parametrize("text", ["Y[n,d] = 3*X[n,d]/sqrt(D)", "Y[n] = sum(d) 5*X[n,d]/sqrt(D)"])
def test_a_root_of_a_size_that_is_0_divides_arrays(text: str) -> None:
    _, module = pair(f"X[N,D]\n{text}")
    Y, cache = module.forward(X=np.zeros((2, 0)))
    with np.errstate(all="ignore"):
        assert module.backward(np.ones_like(Y), cache).shape == (2, 0)


def test_products_that_a_loop_reads_are_made_before_it() -> None:
    """They are not computed anew at every step, although they are read once."""
    derivation = pullback.derive(
        "X[T,N]\na[N]\nS[N,N]\n"
        "h[t,n] = tanh(sum(m) where(t >= 1, h[t-1,m], 0)*S[m,n]/a[n] + X[t,n])\n"
        "L[] = sum(t,n) h[t,n]"
    )
    assert derivation.verify().passed
    loop = derivation.source().partition("def backward")[2].partition("for t in")[2]
    assert "S / a" not in loop.partition("dX =")[0]


CONSTANTS: list[Callable[[Any], Any]] = [
    lambda x: (np.float64(0.5) * x)[:, :0].sum(1),
    lambda x: np.trapezoid((np.float64(0.5) * x)[..., None], axis=2),
    lambda x: np.zeros(3, np.float32) * np.float64(2.0),
    lambda x: np.ones(3)[:0].sum() + x[:0].sum(0),
    lambda x: x[:0].sum(0) * np.float32(2),
    lambda x: np.zeros(3),
]


@pytest.mark.parametrize("function", CONSTANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_reads_no_element_has_the_width_that_numpy_gives_it(
    function: Callable[[Any], Any], dtype: Any
) -> None:
    x = np.ones((2, 3), dtype)
    value, pull = pullback.vjp(function, x)
    assert value.dtype == function(x).dtype
    (gradient,) = pull(np.ones_like(value))
    assert gradient.dtype == dtype

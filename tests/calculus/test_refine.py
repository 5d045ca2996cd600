"""Merged axes kept apart: the same values, in row-major order, under the same names."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest

from pullback import derive, grad
from pullback.calculus.refine import refined, thinned
from pullback.ir.interpret import run
from pullback.ir.program import Program
from pullback.ir.subscripts import Quotient, Remainder
from pullback.ir.walk import accesses
from pullback.notation.parse import parse
from pullback.trace.tracer import Spec, trace
from tests.differences import close, differences

CHAINS = 16
SHAPES = ((2, 4, 6), (4, 4, 2), (3, 8), (2, 2, 2, 3), (1, 6, 4), (5, 4))


def shape_of(rng: Random, count: int) -> tuple[int, ...]:
    """A random shape of so many elements."""
    shape = []
    while count > 1 and len(shape) < 3:
        n = rng.choice([d for d in range(1, count + 1) if count % d == 0])
        shape.append(n)
        count //= n
    return (*shape, count)


def chain(seed: int) -> tuple[Callable[[Any], Any], tuple[int, ...]]:
    """A random chain of reshapes, transpositions, reductions and functions of one array."""
    rng = Random(seed)
    start = rng.choice(SHAPES)
    steps: list[Callable[[Any], Any]] = []
    shape = start
    for _ in range(rng.randint(3, 7)):
        kind = rng.choice(("reshape", "reshape", "transpose", "centre", "scale", "back", "max"))
        axis = rng.randrange(len(shape))
        if kind in ("reshape", "back"):
            shape = start if kind == "back" else shape_of(rng, prod(shape))
            steps.append(lambda z, shape=shape: z.reshape(shape))
        elif kind == "transpose":
            order = rng.sample(range(len(shape)), len(shape))
            shape = tuple(shape[k] for k in order)
            steps.append(lambda z, order=order: z.transpose(order))
        elif kind == "centre":
            steps.append(lambda z, axis=axis: z - z.mean(axis=axis, keepdims=True))
        elif kind == "max":
            steps.append(lambda z, axis=axis: z - 0.5 * z.max(axis=axis, keepdims=True))
        else:
            steps.append(lambda z, axis=axis: z / (1 + (z * z).sum(axis=axis, keepdims=True)))
    if rng.random() < 0.7:
        steps.append(lambda z: z.reshape(start))

    def function(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return function, start


def program_of(function: Callable[[Any], Any], shape: tuple[int, ...]) -> Program:
    return trace(function, {"x": Spec(shape, np.dtype(float))}).program


@pytest.mark.parametrize("seed", range(CHAINS))
def test_random_chains_keep_their_values(seed: int) -> None:
    function, shape = chain(seed)
    program = program_of(function, shape)
    apart = refined(program)
    assert apart.inputs == program.inputs and apart.outputs == program.outputs
    x = np.random.default_rng(seed).normal(size=shape)
    before, after = (run(p, {"x": x}) for p in (program, apart))
    for statement in program.statements:
        name = statement.target.name
        assert after[name].flat == pytest.approx(before[name].flat, rel=1e-12, abs=1e-12)
    out = function(x)
    seeded = np.cos(np.arange(out.size)).reshape(out.shape)
    found = grad(lambda x: (function(x) * seeded).sum())(x)
    assert close(found, differences(function, (x,), seeded, 0))


def test_some_of_these_chains_have_merged_axes() -> None:
    programs = [program_of(*chain(seed)) for seed in range(CHAINS)]
    assert sum(refined(program) is not program for program in programs) > 2


def digits(program: Program) -> bool:
    """Whether a value that is neither an input nor an output is read as digits."""
    return any(
        isinstance(atom, Quotient | Remainder)
        for statement in program.statements
        if statement.target not in program.outputs
        for access in accesses(statement.body)
        for sub in access.subs
        for atom, _ in sub.terms
    )


def normed(x: Any, groups: int, back: bool = True) -> Any:
    z = x.reshape(len(x), groups, -1)
    z = z - z.mean(axis=2, keepdims=True)
    z = z / np.sqrt((z**2).mean(axis=2, keepdims=True) + 1e-5)
    return z.reshape(x.shape) if back else z


def by_variance(x: Any) -> Any:
    z = x.reshape(len(x), 4, -1)
    z = (z - z.mean(axis=2, keepdims=True)) / np.sqrt(z.var(axis=2, keepdims=True) + 1e-5)
    return z.reshape(x.shape)


def spelled_out(x: Any) -> Any:
    n, c, *rest = x.shape
    z = x.reshape(n, 4, c // 4, *rest)
    axes = tuple(range(2, z.ndim))
    z = z - z.mean(axis=axes, keepdims=True)
    return (z / np.sqrt((z**2).mean(axis=axes, keepdims=True) + 1e-5)).reshape(x.shape)


FORMS = ("N 8 L", "N 4*C L", "N 8 H W")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("function", (lambda x: normed(x, 4), by_variance))
def test_group_norm_by_reshaping_is_that_with_its_groups_spelled_out(
    function: Callable[[Any], Any], form: str
) -> None:
    found, wanted = derive(function, x=form), derive(spelled_out, x=form)
    assert not digits(found.backward.program)
    x = np.random.default_rng(0).normal(size=(2, 8, *(3,) * (len(form.split()) - 2)))
    seeded = np.cos(np.arange(x.size)).reshape(x.shape)
    got = grad(lambda x: (function(x) * seeded).sum())(x)
    assert close(got, differences(function, (x,), seeded, 0))
    ours, theirs = found.source(), wanted.source()
    ours, theirs = (s[s.index("def backward") :] for s in (ours, theirs))
    assert "for " not in ours and "arange" not in ours
    assert abs(ours.count("\n") - theirs.count("\n")) <= 1
    for operation in (" * ", " + ", " - ", " / ", ".sum(", "@"):
        assert ours.count(operation) == theirs.count(operation)


def twice(x: Any) -> Any:
    """Two groupings one after the other: their cuts make one chain."""
    return normed(np.tanh(normed(x, 4)), 2)


def twice_spelled_out(x: Any) -> Any:
    n, c, length = x.shape
    z = x.reshape(n, 2, 2, c // 4, length)
    for axes in ((3, 4), (2, 3, 4)):
        z = np.tanh(z) if len(axes) == 3 else z
        z = z - z.mean(axis=axes, keepdims=True)
        z = z / np.sqrt((z**2).mean(axis=axes, keepdims=True) + 1e-5)
    return z.reshape(x.shape)


@pytest.mark.parametrize("channels", ("8", "4*C"))
def test_a_digit_that_is_cut_is_cut_where_it_is_read(channels: str) -> None:
    """Eight channels as 4*2 and then as 2*4 are 2*2*2 in both norms."""
    sources = [derive(f, x=f"N {channels} L").source() for f in (twice, twice_spelled_out)]
    ours, theirs = (s[s.index("def backward") :] for s in sources)
    assert "for " not in ours and "arange" not in ours
    assert ours.count("\n") - theirs.count("\n") <= 2
    for operation in (" * ", " + ", " - ", " / ", ".sum(", "@"):
        assert ours.count(operation) == theirs.count(operation)


def largest(x: Any) -> Any:
    """The merged axis is one whose largest element is looked for."""
    z = normed(x, 4)
    return z * z.max(axis=1, keepdims=True), z.argmax(axis=1)


def test_the_place_of_the_largest_keeps_no_axes_together() -> None:
    apart = refined(program_of(largest, (2, 8, 3)))
    assert {len(s.target.shape) for s in apart.statements if s.target.name == "z"} == {4}
    x = np.random.default_rng(0).normal(size=(2, 8, 3))
    seeded = np.cos(np.arange(x.size)).reshape(x.shape)
    value, _ = derive(largest, x=x.shape).compile().forward(x)
    assert all(map(np.array_equal, value[1:], largest(x)[1:]))
    found = grad(lambda x: (largest(x)[0] * seeded).sum())(x)
    assert close(found, differences(lambda x: largest(x)[0], (x,), seeded, 0))


def crossed(x: Any) -> Any:
    """6 as 2*3 and as 3*2: no weight divides the other."""
    z = x.reshape(len(x), 3, -1)
    z = (z - z.mean(axis=2, keepdims=True)).reshape(len(x), 2, -1)
    return (z / (1 + z.max(axis=2, keepdims=True) ** 2)).reshape(x.shape)


def shown(x: Any) -> Any:
    """The merged axis is an output's, too."""
    z = normed(x, 2, back=False)
    return z, z.reshape(x.shape)


def placed(x: Any) -> Any:
    """The place along a merged axis is looked up."""
    z = x.reshape(len(x), 2, -1)
    z = z - np.take_along_axis(z, z.argmax(axis=2)[:, :, None], axis=2)
    return (z * z).reshape(x.shape)


@pytest.mark.parametrize("function", (twice, crossed, shown, placed))
def test_other_merged_axes_keep_their_gradients(function: Callable[[Any], Any]) -> None:
    x = np.random.default_rng(1).normal(size=(2, 8 if function is not crossed else 6, 3))

    def flat(x: Any) -> Any:
        out = function(x)
        parts = out if isinstance(out, tuple) else (out,)
        return np.concatenate([part.reshape(-1) for part in parts])

    seeded = np.cos(np.arange(flat(x).size))
    found = grad(lambda x: (flat(x) * seeded).sum())(x)
    assert close(found, differences(flat, (x,), seeded, 0))


def patches(x: Any, normed: bool) -> Any:
    n, c, h, w = x.shape
    p = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 2, 4, 3, 5, 1)
    p = p.reshape(n, (h // 2) * (w // 2), 4 * c)
    if normed:
        p = (p - p.mean(-1, keepdims=True)) / np.sqrt(p.var(-1, keepdims=True) + 1e-5)
    return p


@pytest.mark.parametrize("normed", (False, True))
def test_the_gradient_of_patches_is_a_view(normed: bool) -> None:
    def function(x: Any, W: Any) -> Any:
        return patches(x, normed) @ W

    source = derive(function, x="N C 2*H 2*V", W="4*C O").source()
    backward = source[source.index("def backward") :]
    assert not any(word in backward for word in ("add.at", "arange", "for ", "np.pad"))
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(12, 2))
    seeded = np.cos(np.arange(24)).reshape(2, 6, 2)
    for place in (0, 1):
        found = grad(lambda x, W: (function(x, W) * seeded).sum(), argnums=place)(x, W)
        assert close(found, differences(function, (x, W), seeded, place))


def test_what_has_no_merged_axis_stays_as_it_is() -> None:
    for text in (
        "X[N,M]\nY[n,m] = X[n,m] - mean(m1:M) X[n,m1]",
        "X[N,4]\nZ[n,i:2,j:2] = X[n,2*i+j]\nY[n,i,j] = exp(Z[n,i,j])",  # split only
        "X[N,M]\nZ[k:N*M] = X[k//M,k%M]\nY[k] = exp(Z[k])",  # merged only
    ):
        program = parse(text)
        assert refined(program) is program


def kept_axes(X: Any) -> Any:
    z = X - X.max(axis=1, keepdims=True)
    return (z - z.mean(axis=1, keepdims=True)) / np.sqrt(z.var(axis=1, keepdims=True) + 1e-5)


def test_axes_of_one_place_leave_formulas() -> None:
    derivation = derive(kept_axes, X="N D")
    text = str(derivation)
    assert ":1" not in text and ",0]" not in text and "(1×1)" not in text
    X = np.random.default_rng(0).normal(size=(3, 4))
    seeded = np.cos(np.arange(X.size)).reshape(X.shape)
    found = grad(lambda X: (kept_axes(X) * seeded).sum())(X)
    assert close(found, differences(kept_axes, (X,), seeded, 0))


THIN = {
    "inputs and outputs": "X[N,1]\nY[n,k:1] = exp(X[n,k])",
    "operands": "A[1,1]\nB[i,j] = exp(A[i,j])\nC[i,j] = inverse(B)[i,j]\nY[i,j] = C[i,j]\nreturn Y",
    "a recurrence": "X[N,1]\nH[t:N,k:1] = X[t,k] + where(t >= 1, H[t-1,k], 0)\nY[] = sum(t) H[t,0]",
}


@pytest.mark.parametrize("name", THIN)
def test_what_keeps_its_axes_of_one_place(name: str) -> None:
    program = parse(THIN[name])
    assert thinned(program) is program


def test_values_without_axes_of_one_place_are_the_same() -> None:
    program = parse(
        "X[N,M]\nm[n,k:1] = max(i) X[n,i]\na[k:1,n] = argmax(i) X[n,i]\n"
        "e[n,i] = exp(X[n,i] - m[n,0])\nY[n,i,k:1] = e[n,i]*X[n,a[k,n]] + m[n,k]"
    )
    apart = thinned(program)
    assert [len(s.target.shape) for s in apart.statements] == [1, 1, 2, 3]
    X = np.random.default_rng(0).normal(size=(3, 4))
    before, after = (run(p, {"X": X}) for p in (program, apart))
    for statement in program.statements:
        name = statement.target.name
        assert after[name].flat == pytest.approx(before[name].flat)


def test_an_array_with_a_new_axis_is_the_array() -> None:
    """Two views of one array differ in axes of one place only: both are read through."""
    derivation = derive(lambda X: ((X[:, None] - X[None]) ** 2).sum(axis=2), X="N D")
    read = {a.tensor.name for s in derivation.backward.statements for a in accesses(s.body)}
    assert read - {s.target.name for s in derivation.backward.statements} <= {"X", "dY"}

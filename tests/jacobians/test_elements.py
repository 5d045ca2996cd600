"""The formula of an element, as it is printed, run by the slow interpreter at named sizes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest

import pullback
from pullback.errors import PullbackError
from pullback.ir.arithmetic import FLOAT
from pullback.ir.expr import Tensor
from pullback.ir.interpret import run
from pullback.ir.program import Define, Program, live
from pullback.jacobians.formula import JacobianFormula
from pullback.jacobians.modes import moving
from pullback.notation.plain import show_program
from pullback.verify.samples import draw, draw_sizes
from tests.properties.random_programs import Maker

from .oracles import as_matrix

Array = np.ndarray[Any, Any]


def elements(J: JacobianFormula, arrays: Mapping[str, Any], sizes: Mapping[str, int]) -> Array:
    """The array that the formula says, by loops over every index."""
    closed, backward = J.local.closed, J.local.backward
    assert closed is not None
    indices = (*closed.rows, *closed.columns)
    target = Tensor("elements of the Jacobian", tuple(i.extent for i in indices))
    still = moving(backward)
    kept = [s for s in backward.statements if s.target not in still]
    define = Define(target, indices, closed.expression)
    statements = (*backward.forward.statements, *kept, define)
    whole = live(Program(J.program.inputs, statements, (target,), J.program.sizes))
    given = {t.name: arrays[t.name] for t in whole.inputs if t.name in arrays}
    found = run(whole, given, sizes=sizes)[target.name]
    shape = [n.value(sizes) for n in target.shape]
    return np.asarray(found.tolist(), float).reshape(shape)


TEXTS = {
    "affine": ("Y[n,m] = sum(d) X[n,d]*W[d,m] + b[m]", {"N": 2, "D": 3, "M": 2}),
    "softmax": ("P[n,c] = exp(S[n,c])/sum(k) exp(S[n,k])", {"N": 2, "C": 3}),
    "convolution": ("Y[h] = sum(k) X[h+k]*W[k]", {"H": 4, "K": 2}),
    "two layers": (
        "S[n,m] = sum(d) X[n,d]*W[d,m]\nY[n,k] = sum(m) max(S[n,m], 0)*V[m,k]",
        {"N": 2, "D": 2, "M": 3, "K": 1},
    ),
    "norm": ("Y[i] = X[i]/sqrt(sum(j) X[j]**2)", {"I": 3}),
    "largest": ("Y[n] = max(i) X[n,i]", {"N": 2, "I": 3}),
}


@pytest.mark.parametrize("name", TEXTS)
def test_at_small_sizes(name: str) -> None:
    text, sizes = TEXTS[name]
    derivation = pullback.derive(text)
    rng = np.random.default_rng(0)
    program = derivation.backward.program
    named = {n for t in program.inputs for e in t.shape for n in e.names()}
    own = {n: sizes.get(n, 3) for n in named}
    arrays = {t.name: rng.normal(size=[n.value(own) for n in t.shape]) for t in program.inputs}
    for wrt in derivation.backward.wrt:
        J = derivation.jacobian(wrt=wrt.name)
        at = J.at(**arrays)
        np.testing.assert_allclose(elements(J, arrays, own), at.dense(), atol=1e-12)


@pytest.mark.parametrize("seed", [*range(5), 26, 30])
def test_of_random_index_programs(seed: int) -> None:
    rng = Random(seed)
    program = Maker(rng, kinks=rng.randrange(2) == 0).program()
    drawn = list(draw_sizes([*program.statements], program.inputs, rng, 1))
    if not drawn:
        pytest.skip("no sizes")
    sizes = {**dict.fromkeys(program.sizes, 2), **drawn[0]}
    sample = draw(program.inputs, program.statements, sizes, rng, FLOAT, "signed")
    if sample is None:
        pytest.skip("no values")
    kinds = {"float": np.float64, "int": np.int64, "bool": bool}
    arrays = {
        t.name: np.asarray(sample.arrays[t.name].tolist()).astype(kinds[t.kind])
        for t in program.inputs
    }
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            derivation = pullback.derive(show_program(program))
        except PullbackError:
            pytest.skip("refused")
        outputs = dict.fromkeys(t for t in program.outputs if t.kind == "float")
        for output in outputs:
            for wrt in derivation.backward.wrt:
                J = derivation.jacobian(output.name, wrt.name)
                _check(J, arrays, sizes)


def _check(J: JacobianFormula, arrays: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    at = J.at(**arrays, **{n: v for n, v in sizes.items() if n in J.program.sizes})
    count = prod(at.input_shape)
    matrix = as_matrix(at @ np.eye(count).reshape(*at.input_shape, count), at)
    if not np.isfinite(matrix).all():
        return
    scale = 1e-9 * max(1.0, float(np.abs(matrix).max(initial=0)))
    np.testing.assert_allclose(as_matrix(at.dense(), at), matrix, atol=scale)
    assert str(J) and J.latex()
    if J.local.closed is not None:
        np.testing.assert_allclose(elements(J, arrays, sizes).reshape(matrix.shape), matrix,
                                   atol=scale)  # fmt: skip
        np.testing.assert_allclose(at.sparse().toarray(), matrix, atol=scale)

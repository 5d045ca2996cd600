"""Special functions as PyTorch and JAX have them: their source against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import pullback
from pullback.errors import PullbackError
from pullback.functions import TABLE
from pullback.ir.special import NAMES
from pullback.runtime.load import load_module

# What has no spelling, or a derivative that has none.
LACKING = {
    "torch": "poch binom betainc dawsn exp1 expi jv j1 yv iv i1 kv ive i1e kve stdtr",
    "jax": "binom jv j0 j1 yv y0 y1 iv i1 kv k0 k1 ive i1e kve k0e k1e stdtr",
}
# Of which the framework has less digits.
COARSE = {"torch": ("digamma", "j0", "y0", "y1")}


@pytest.mark.parametrize("to", LACKING)
def test_every_function_is_spelled_or_refused(to: str) -> None:
    refused = []
    for name in NAMES:
        letters = [f"x{k}[i]" for k in range(TABLE[name].arity)]
        letters[: TABLE[name].parameters] = ["2"] * TABLE[name].parameters
        try:
            pullback.derive(f"Y[i] = {name}({', '.join(letters)})").source(to)
        except PullbackError as error:
            assert "has no spelling for the function" in str(error)
            refused.append(name)
    assert refused == LACKING[to].split()


@pytest.mark.parametrize("to", LACKING)
def test_values_and_gradients_are_scipys(to: str) -> None:
    module: Any = pytest.importorskip(to, reason=f"needs {to}: the extra frameworks")
    if to == "jax":
        module.config.update("jax_enable_x64", True)
    array = module.tensor if to == "torch" else module.numpy.asarray
    rng = np.random.default_rng(0)
    for name in (name for name in NAMES if name not in LACKING[to].split()):
        row, function = TABLE[name], getattr(scipy.special, name)
        at = [rng.uniform(low, high, 5) for low, high in row.domain]
        at[: row.parameters] = [2.0] * row.parameters
        letters = ["2"] * row.parameters
        letters += [f"x{k}[i]" for k in range(row.parameters, row.arity)]
        derived = pullback.derive(f"Y[i] = {name}({', '.join(letters)})")
        given = at[row.parameters :]
        found, gradients = [], []
        for source, make in ((derived.source(to), array), (derived.source("numpy"), np.array)):
            made = load_module(source)
            value, cache = made.forward(*map(make, given))
            slopes = made.backward(make(np.ones(5)), cache)
            found.append(np.asarray(value))
            gradients.append(
                [np.asarray(s) for s in (slopes if type(slopes) is tuple else (slopes,))]
            )
        tolerance = 1e-8 if name in COARSE.get(to, ()) else 1e-12
        np.testing.assert_allclose(found[0], function(*at), tolerance, tolerance, err_msg=name)
        for one, other in zip(*gradients, strict=True):
            np.testing.assert_allclose(one, other, tolerance, tolerance, err_msg=name)


def test_signs_of_the_gamma_function_in_torch() -> None:
    """They turn at the poles below 0."""
    torch: Any = pytest.importorskip("torch", reason="needs torch: the extra frameworks")
    x = np.array([-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    for name in ("gamma", "rgamma", "gammasgn"):
        made = load_module(pullback.derive(f"Y[i] = {name}(X[i])").source("torch"))
        value, _ = made.forward(torch.tensor(x))
        np.testing.assert_allclose(value, getattr(scipy.special, name)(x), 1e-13)
    made = load_module(pullback.derive("Y[i] = beta(A[i], B[i])").source("torch"))
    a, b = np.array([-0.5, -1.5, 2.5, 0.3]), np.array([2.2, 0.7, 0.1, -0.4])
    value, _ = made.forward(torch.tensor(a), torch.tensor(b))
    np.testing.assert_allclose(value, scipy.special.beta(a, b), 1e-12)

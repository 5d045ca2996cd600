"""Arguments of wrong kinds: an exception is pullback's, or the one of the user's own function.

``outcomes`` is a table of values against uses; each row costs a few milliseconds.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import pullback as pb
from pullback import layers

RECORDS = np.zeros(2, dtype=[("a", float)])
INSIDE_ITSELF: list[Any] = []
INSIDE_ITSELF.append(INSIDE_ITSELF)

VALUES: dict[str, Any] = {
    "a text": "a",
    "None": None,
    "a set": {1.0, 2.0},
    "a frozenset": frozenset([1]),
    "objects": np.array([1, "a", None], dtype=object),
    "records": RECORDS,
    "a record": RECORDS[0],
    "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
    "a time": np.timedelta64(3, "s"),
    "a date": datetime.date(2020, 1, 1),
    "complex numbers": np.ones(2) * 1j,
    "a complex number": 1j,
    "a masked array": np.ma.array([1.0, 2.0], mask=[0, 1]),
    "a matrix": np.matrix([[1.0, 2.0]]),
    "texts": np.array(["a", "b"]),
    "bytes": b"ab",
    "memory": memoryview(b"abc"),
    "raw data": np.void(b"abcd"),
    "a negative int": -1,
    "a huge int": 10**400,
    "not a number": float("nan"),
    "infinite": np.array([np.inf, 1.0]),
    "no elements": np.zeros(0),
    "no rows": np.zeros((0, 3)),
    "a ragged list": [[1.0], [1.0, 2.0]],
    "a list inside itself": INSIDE_ITSELF,
    "a dict": {"a": 1.0},
    "a class": Decimal,
    "a decimal": Decimal(1),
    "a fraction": Fraction(1, 2),
    "bools": np.array([True, False]),
    "another byte order": np.ones(2, ">f8"),
    "another shape": np.ones((2, 1, 3)),
    "an exception": ValueError("x"),
    "a slice": slice(1, 2),
}

X = np.array([1.0, 2.0, 3.0])
Use = Callable[[Any], Any]

# What a function does with a value that it closes over; the value is traced with.
INSIDE: dict[str, Callable[[Any, Any], Any]] = {
    "added": lambda x, v: (x + v).sum(),
    "multiplied": lambda x, v: (v * x).sum(),
    "a condition": lambda x, v: np.where(v, x, 0).sum(),
    "a subscript": lambda x, v: x[v].sum(),
    "a power": lambda x, v: (x**v).sum(),
    "an axis": lambda x, v: x.sum(axis=v),
    "a dtype": lambda x, v: x.astype(v).sum(),
    "a dtype of a sum": lambda x, v: np.sum(x, dtype=v),
    "a shape": lambda x, v: x.reshape(v).sum(),
    "decimals": lambda x, v: np.round(x, v).sum(),
    "sections": lambda x, v: np.split(x, v)[0].sum(),
    "places": lambda x, v: np.take(x, v).sum(),
    "joined": lambda x, v: np.concatenate([x, v]).sum(),
    "widths": lambda x, v: np.pad(x, v).sum(),
    "an order": lambda x, v: np.linalg.norm(x, v),
    "returned": lambda x, v: v,
}


def _inside(function: Callable[[Any, Any], Any]) -> Use:
    return lambda v: pb.vjp(lambda x: function(x, v), X)


FORMULA = pb.define("Y[i] = 2*X[i]")
COUNTED = pb.define("Y[i:N] = a[]*i")
DERIVATION = pb.derive("Y[i] = sin(X[i])")
FORWARD, BACKWARD = DERIVATION.compile()
CACHE = FORWARD(X)[1]
PULL = pb.vjp(lambda x: 2 * x, X)[1]

OUTSIDE: dict[str, Use] = {
    "a primal": lambda v: pb.vjp(lambda x: x * 2, v),
    "a loss's argument": lambda v: pb.grad(lambda x: (x * x).sum())(v),
    "a cotangent": PULL,
    "a tangent": lambda v: pb.jvp(lambda x: x * 2, (X,), (v,)),
    "tangents": lambda v: pb.jvp(lambda x: x * 2, (X,), v),
    "argnums": lambda v: pb.grad(lambda x: x.sum(), v)(X),
    "shapes": lambda v: pb.derive(lambda x: x * 2, x=v),
    "sizes": lambda v: pb.derive(lambda x: x * 2, x="N", sizes=v),
    "a size": lambda v: pb.derive("Y[i] = X[i]", sizes={"I": v}),
    "wrt": lambda v: pb.derive("Y[i] = X[i]", wrt=v),
    "conventions": lambda v: pb.derive("Y[i] = X[i]", conventions=v),
    "a convention": lambda v: pb.derive("Y[i] = X[i]", conventions={"maximum": v}),
    "a definition": pb.define,
    "a shape of a text": lambda v: pb.define("Y[i] = X[i]", X=v),
    "a formula's argument": FORMULA,
    "a formula's size": lambda v: COUNTED(1.0, N=v),
    "a layer's argument": layers.relu(),
    "a layer's option": lambda v: layers.leaky_relu(negative_slope=v),
    "forward": FORWARD,
    "backward": lambda v: BACKWARD(v, CACHE),
    "a cache": lambda v: BACKWARD(X, v),
    "a backend": lambda v: DERIVATION.source(v),
    "a name": lambda v: DERIVATION.formula(v),
    "a seed": lambda v: DERIVATION.verify(v),
}


def outcomes(use: Use, plain: Use | None) -> Iterator[tuple[str, str]]:
    """What each value leads to: "right", "refused", "as the function itself", or the exception."""
    for name, value in VALUES.items():
        try:
            use(value)
        except pb.PullbackError:
            yield name, "refused"
        except Exception as error:
            own: BaseException | None = None
            if plain is not None:
                try:
                    plain(value)
                except Exception as raised:
                    own = raised
            same = type(own) is type(error)
            yield name, "as the function itself" if same else f"{type(error).__name__}: {error}"
        else:
            yield name, "right"


ALLOWED = ("right", "refused", "as the function itself")


@pytest.mark.parametrize("name", OUTSIDE)
def test_wrong_arguments(name: str) -> None:
    plain = {"a primal": lambda v: v * 2, "a loss's argument": lambda v: (v * v).sum()}.get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dict(outcomes(OUTSIDE[name], plain))
    if name == "a formula's size":  # the work of evaluating a formula is bounded elsewhere
        del found["a huge int"]
    assert {value: told for value, told in found.items() if told not in ALLOWED} == {}


@pytest.mark.parametrize("name", INSIDE)
def test_wrong_values_inside_a_function(name: str) -> None:
    function = INSIDE[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dict(outcomes(_inside(function), lambda v: function(X, v)))
    assert {value: told for value, told in found.items() if told not in ALLOWED} == {}

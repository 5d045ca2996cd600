"""How NumPy spells the scalar functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...errors import PullbackError
from ...functions import TABLE
from ...ir.expr import Expr
from .code import Code, binary, elementwise
from .dtypes import floated, promoted

if TYPE_CHECKING:
    from .arrays import Array
    from .expressions import Context, Speller

# Functions whose result keeps the dtype of whole numbers.
WHOLE = frozenset(
    "abs sign maximum minimum clip mod fmod floor_divide floor ceil trunc rint pow".split()
)


def _sigmoid(x: Code) -> Code:
    half = binary("*", Code("0.5"), x)
    return binary("*", Code("0.5"), binary("+", Code("1"), elementwise("np.tanh", half)))


def _softplus(x: Code) -> Code:
    return elementwise("np.logaddexp", Code("0"), x)


# Spellings of NumPy alone for what the table of functions finds elsewhere.
SPELLINGS: dict[str, Callable[..., Code]] = {"sigmoid": _sigmoid, "softplus": _softplus}


def spell(speller: Speller, name: str, args: Sequence[Expr], context: Context) -> Array:
    """A scalar function applied to arrays."""
    arrays = speller.compatible([speller.value(arg, context) for arg in args])
    laid = speller.together(arrays, context)
    speller.risk(context)
    dtype = promoted(array.dtype for array in arrays)
    if name not in WHOLE or dtype == "bool":
        dtype = floated(dtype)
    from .arrays import Array
    from .expressions import broadcast_axes

    codes = [array.code for array in laid]
    return Array(_code(speller, name, codes), broadcast_axes(laid), dtype)


def _code(speller: Speller, name: str, args: Sequence[Code]) -> Code:
    own = SPELLINGS.get(name)
    if own is not None:
        return own(*args)
    row = TABLE.get(name)
    if row is None or not row.numpy:
        raise PullbackError(f"NumPy has no spelling for the function {name}")
    module = row.numpy.rpartition(".")[0]
    if module != "np":
        speller.scope.imports[f"import {module}"] = None
    return elementwise(row.numpy, *args)

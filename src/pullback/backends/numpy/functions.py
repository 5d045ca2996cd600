"""How NumPy spells the scalar functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from ...errors import PullbackError
from ...functions import TABLE, WHOLE
from ...ir.arithmetic import SINC_ORDERS, sinc_series
from ...ir.expr import Apply, Expr
from ...ir.magnitudes import is_remainder
from ..python.code import POWER, Code, binary, elementwise, minus
from .arrays import Array, broadcast_axes
from .dtypes import floated, promoted

if TYPE_CHECKING:
    from .expressions import Context, Speller


def _sigmoid(speller: Speller, x: Array) -> Code:
    speller.scope.quiet["over"] = None  # exp(-x) may be inf, and 1 / inf is right
    power = elementwise("np.exp", minus(x.code))
    return binary("/", Code("1"), binary("+", Code("1"), power))


def _softplus(speller: Speller, x: Array) -> Code:
    x = speller.named(x, "x")
    above = elementwise("np.maximum", x.code, Code("0"))
    power = elementwise("np.exp", minus(elementwise("np.abs", x.code)))
    return binary("+", above, elementwise("np.log1p", power))


def _sinc(order: int) -> Callable[[Speller, Array], Code]:
    """The derivative of np.sinc of this order: near 0 its series, else ``t s(t) = sin(t)``
    differentiated so many times."""
    limit, series = sinc_series(order)

    def spelled(speller: Speller, x: Array) -> Code:
        angle = speller.named(x.with_code(binary("*", Code("np.pi"), x.code)), "angle")
        test = binary("<", elementwise("np.abs", angle.code), Code(repr(limit)))
        near = speller.named(angle.with_code(test, dtype="bool"), "near")
        far = elementwise("np.where", near.code, Code(repr(limit)), angle.code)
        t = speller.named(angle.with_code(far), "far")
        small = elementwise("np.where", near.code, angle.code, Code("0"))
        s = speller.named(angle.with_code(small), "small")
        square = speller.named(s.with_code(binary("*", s.code, s.code)), "square")
        scope = speller.scope
        name, each, terms = map(scope.names.fresh, ("series", "coefficient", "coefficients"))
        scope.emit(f"{terms} = ({', '.join(map(repr, reversed(series)))})")
        scope.emit(f"{name} = 0")
        scope.emit(f"for {each} in {terms}:")
        with scope.indented():
            scope.emit(f"{name} = {name} * {square.code} + {each}")
        total = Code(name)
        if order % 2:
            total = binary("*", s.code, total)
        waves = [elementwise(name, t.code) for name in ("np.sin", "np.cos")]
        value = binary("/", waves[0], t.code)
        for k in range(1, order + 1):
            value = speller.named(t.with_code(value), "slope").code
            wave = waves[k % 2] if k % 4 < 2 else minus(waves[k % 2])
            rest = value if k == 1 else binary("*", Code(str(k)), value)
            value = binary("/", binary("-", wave, rest), t.code)
        found = elementwise("np.where", near.code, total, value)
        power = Code("np.pi") if order == 1 else Code(f"np.pi ** {order}", POWER)
        return binary("*", power, found)

    return spelled


# Spellings of NumPy alone for what the table of functions finds elsewhere.
SPELLINGS: dict[str, Callable[[Speller, Array], Code]] = {
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    **{f"sinc{order}": _sinc(order) for order in range(1, SINC_ORDERS + 1)},
}


def spell(speller: Speller, name: str, args: Sequence[Expr], context: Context) -> Array:
    """A scalar function applied to arrays."""
    exact = is_remainder(Apply(name, tuple(args)))
    with speller.set(floating=False, whole=True) if exact else nullcontext():
        arrays = [speller.value(arg, context) for arg in args]
    if name not in WHOLE:  # NumPy makes 16-bit floats of bools
        arrays = [speller.cast(a, "float") if a.dtype == "bool" else a for a in arrays]
    arrays = speller.compatible(arrays)
    laid = speller.together(arrays, context)
    speller.risk(context)
    dtype = promoted(array.dtype for array in arrays)
    if name not in WHOLE or dtype == "bool":
        dtype = floated(dtype)
    kept = None
    if len(arrays) == 1 and arrays[0].kept is not None and name not in SPELLINGS:
        inner = arrays[0].kept
        kept = Array(_code(speller, name, [inner]), inner.axes, dtype)
    return Array(_code(speller, name, laid), broadcast_axes(laid), dtype, kept=kept)


def _code(speller: Speller, name: str, args: Sequence[Array]) -> Code:
    if name in SPELLINGS:
        return SPELLINGS[name](speller, *args)
    row = TABLE.get(name)
    if row is None or not row.numpy:
        raise PullbackError(f"NumPy has no spelling for the function {name}")
    module = row.numpy.rpartition(".")[0]
    if module != "np":
        speller.scope.imports[f"import {module}"] = None
    return elementwise(row.numpy, *(array.code for array in args))

"""NumPy's functions of complex arrays, and Fourier transforms."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ..ir.expr import Mul, Power, SizeOf
from ..ir.sizes import size
from . import pairs
from .complexes import Complex, array, called_ufunc, complex_in, is_complex, pair_of, split
from .made import made
from .operations import Tracer, built_value, make_array
from .pairs import Pair
from .record import Sheet
from .rows import public_name
from .table_elementwise import elementwise
from .table_matrices import result
from .values import Value, cast

Function = Callable[..., Any]
FUNCTIONS: dict[Any, Function] = {}


def _entered(*functions: Any) -> Callable[[Function], Function]:
    def enter(build: Function) -> Function:
        for function in functions:
            FUNCTIONS[function] = build
        return build

    return enter


# --------------------------------------------------------------------------------------------------
# Functions that are linear in one array, or in a list of arrays

VIEWS: tuple[Any, ...] = (
    *(np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.squeeze, np.ravel),
    *(np.expand_dims, np.broadcast_to, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.diagonal),
    *(np.flip, np.fliplr, np.flipud, np.rot90, np.split, np.array_split, np.hsplit, np.vsplit),
    np.dsplit,
)
BY_PARTS: tuple[Any, ...] = (
    *(np.sum, np.mean, np.cumsum, np.concatenate, np.stack, np.vstack, np.hstack, np.dstack),
    *(np.column_stack, np.roll, np.tile, np.repeat, np.take, np.diag, np.diagflat, np.trace),
    *(np.tril, np.triu, np.diff, np.take_along_axis, np.copy, np.trapezoid, np.gradient, np.block),
    *(np.delete, np.nansum, np.round, np.compress, np.lib.stride_tricks.sliding_window_view),
)


def _joined(sheet: Sheet, re: Any, im: Any, viewed: bool) -> Any:
    if isinstance(re, list | tuple):
        return type(re)(_joined(sheet, *pair, viewed) for pair in zip(re, im, strict=True))
    return Complex(sheet, re, im) if viewed else array(sheet, (re, im))


def _by_parts(function: Any, view: bool) -> Function:
    def build(sheet: Sheet, first: Any, *args: Any, **options: Any) -> Any:
        if complex_in((*args, *options.values())):
            raise _unknown(sheet, function)
        dtype = options.get("dtype")
        if dtype is not None:
            if np.dtype(dtype).kind != "c":
                raise _unknown(sheet, function)
            options["dtype"] = np.zeros(0, dtype).real.dtype

        def apply(part: Any) -> Any:
            return function(part, *args, **options)

        if type(first) is not Complex:
            re, im = split(sheet, first)
            return _joined(sheet, apply(re), apply(im), False)
        if view:
            if first.re is not None and first.im is not None:
                return _joined(sheet, apply(first.re), apply(first.im), True)
            if function not in _SPLITS:
                return first._seen(apply)
        re, im = (None if part is None else apply(part) for part in (first.re, first.im))
        if isinstance(re, list | tuple) or isinstance(im, list | tuple):
            re, im = map(apply, split(sheet, first))
            return _joined(sheet, re, im, False)
        return array(sheet, (re, im), [first])

    return build


_SPLITS = (np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit)
for _function in VIEWS:
    FUNCTIONS[_function] = _by_parts(_function, True)
for _function in BY_PARTS:
    FUNCTIONS[_function] = _by_parts(_function, False)


def _unknown(sheet: Sheet, function: Any) -> Exception:
    return sheet.refusal(
        f"{public_name(function)} can't be traced with these complex arguments",
        hint="apply it to the real and the imaginary part: z.real, z.imag",
    )


@_entered(np.pad)
def pad(sheet: Sheet, array_: Any, pad_width: Any, mode: str = "constant", **options: Any) -> Any:
    """Both parts, padded."""
    if complex_in(options.values()) or options.get("constant_values", 0) != 0:
        raise _unknown(sheet, np.pad)
    padded: Any = np.pad
    re, im = (None if p is None else padded(p, pad_width, mode) for p in pair_of(sheet, array_))
    return array(sheet, (re, im), [array_])


@_entered(np.where)
def where(sheet: Sheet, condition: Any, *choices: Any) -> Any:
    """x where the condition holds, else y: part by part."""
    if len(choices) != 2 or is_complex(condition):
        raise _unknown(sheet, np.where)
    x, y = (pair_of(sheet, one) for one in choices)
    found = [
        None if p is None and q is None
        else np.where(condition, 0.0 if p is None else p, 0.0 if q is None else q)
        for p, q in zip(x, y, strict=True)
    ]  # fmt: skip
    return array(sheet, (found[0], found[1]))


# Functions that are linear in each of several arrays


def _multilinear(function: Any, count: int, conjugated: int | None = None) -> Function:
    def build(sheet: Sheet, *args: Any, **options: Any) -> Any:
        given = [pair_of(sheet, one) for one in args[:count]]
        if conjugated is not None:
            given[conjugated] = pairs.conjugate(given[conjugated])
        rest = args[count:]
        if complex_in((*rest, *options.values())):
            raise _unknown(sheet, function)
        return array(sheet, pairs.multilinear(lambda *one: function(*one, *rest, **options), given))

    return build


PRODUCTS: tuple[Any, ...] = (
    *(np.dot, np.inner, np.outer, np.tensordot, np.kron, np.convolve, np.cross),
)
for _function in PRODUCTS:
    FUNCTIONS[_function] = _multilinear(_function, 2)
for _name in ("matmul", "outer", "tensordot", "cross"):
    if hasattr(np.linalg, _name):
        FUNCTIONS[getattr(np.linalg, _name)] = _multilinear(getattr(np, _name), 2)
FUNCTIONS[np.vdot] = _multilinear(np.vdot, 2, 0)
FUNCTIONS[np.correlate] = _multilinear(np.correlate, 2, 1)


@_entered(np.einsum)
def einsum(sheet: Sheet, spec: Any, *operands: Any, **options: Any) -> Any:
    """A sum of products as its subscripts say."""
    if not isinstance(spec, str):
        raise _unknown(sheet, np.einsum)
    return _multilinear(lambda *one: np.einsum(spec, *one), len(operands))(sheet, *operands)


# Parts, sizes, statistics


@_entered(np.real)
def real(sheet: Sheet, val: Any) -> Any:
    """The real part."""
    return val.real if isinstance(val, Complex | Tracer) else np.real(val)


@_entered(np.imag)
def imag(sheet: Sheet, val: Any) -> Any:
    """The imaginary part."""
    if isinstance(val, Complex):
        return val.imag
    return made(sheet, np.zeros(tuple(map(int, val.shape)), val.dtype))


@_entered(np.angle)
def angle(sheet: Sheet, z: Any, deg: bool = False) -> Any:
    """The angle from -π to π."""
    found = pairs.angle(pair_of(sheet, z))
    return np.rad2deg(found) if deg else found


@_entered(np.real_if_close)
def real_if_close(sheet: Sheet, a: Any, tol: Any = 100) -> Any:
    """A real array as it is; what a complex one becomes depends on its values."""
    if is_complex(a):
        raise sheet.refusal(
            "np.real_if_close of a complex array can't be traced", hint="write z.real"
        )
    return a


@_entered(np.isreal)
def isreal(sheet: Sheet, x: Any) -> Any:
    """Where the imaginary part is 0."""
    return x.imag == 0


@_entered(np.iscomplex)
def iscomplex(sheet: Sheet, x: Any) -> Any:
    """Where the imaginary part isn't 0."""
    return x.imag != 0


@_entered(np.iscomplexobj)
def iscomplexobj(sheet: Sheet, x: Any) -> bool:
    """Whether the dtype is complex."""
    return is_complex(x)


@_entered(np.isrealobj)
def isrealobj(sheet: Sheet, x: Any) -> bool:
    """Whether the dtype is real."""
    return not is_complex(x)


@_entered(np.shape)
def shape(sheet: Sheet, a: Any) -> Any:
    """The extents."""
    return a.shape


@_entered(np.ndim)
def ndim(sheet: Sheet, a: Any) -> int:
    """The number of axes."""
    return int(a.ndim)


@_entered(np.size)
def number_of(sheet: Sheet, a: Any, axis: Any = None) -> Any:
    """The number of elements."""
    return np.size(pair_of(sheet, a)[0 if a.re is not None else 1], axis)


def _like(value: Any) -> Function:
    def build(sheet: Sheet, a: Any, *args: Any, dtype: Any = None, **options: Any) -> Any:
        held = args[0] if value is None else value
        wanted = a.dtype if dtype is None else np.dtype(dtype)
        if isinstance(held, Complex | Tracer):
            zeros = np.zeros(tuple(map(int, a.shape)), wanted)
            return called_ufunc(sheet, np.add, "__call__", (zeros, held), {})
        return _made(sheet, np.full(tuple(map(int, a.shape)), held, wanted))

    return build


def _made(sheet: Sheet, held: Any) -> Any:
    if held.dtype.kind != "c":
        return made(sheet, held)
    return Complex(sheet, made(sheet, held.real.copy()), made(sheet, held.imag.copy()))


FUNCTIONS[np.zeros_like] = FUNCTIONS[np.empty_like] = _like(0)
FUNCTIONS[np.ones_like] = _like(1)
FUNCTIONS[np.full_like] = _like(None)


@_entered(np.var)
def var(sheet: Sheet, a: Any, axis: Any = None, **options: Any) -> Any:
    """The mean of |z - mean|²: the sum of the variances of both parts."""
    found = (None if part is None else np.var(part, axis, **options) for part in pair_of(sheet, a))
    return pairs.plus(*found)


@_entered(np.std)
def std(sheet: Sheet, a: Any, axis: Any = None, **options: Any) -> Any:
    """The root of the variance."""
    return np.sqrt(var(sheet, a, axis, **options))


@_entered(np.average)
def average(sheet: Sheet, a: Any, axis: Any = None, weights: Any = None) -> Any:
    """Both parts, averaged."""
    if is_complex(weights):
        raise _unknown(sheet, np.average)
    found = (
        None if part is None else np.average(part, axis, weights) for part in pair_of(sheet, a)
    )
    return array(sheet, tuple(found))  # type: ignore[arg-type]


@_entered(np.prod)
def product(sheet: Sheet, a: Any, axis: Any = None, **options: Any) -> Any:
    """A product along an axis, factor by factor."""
    if options:
        raise _unknown(sheet, np.prod)
    lined = np.ravel(a) if axis is None else np.moveaxis(a, operator.index(axis), 0)
    found: Pair = (1.0, None)
    if len(lined) > pairs.LONGEST:
        raise sheet.refusal(
            f"np.prod of more than {pairs.LONGEST} complex factors can't be traced",
            hint="write np.exp(np.sum(np.log(z)))",
        )
    for k in range(len(lined)):
        found = (
            pair_of(sheet, lined[k]) if not k else pairs.multiply(found, pair_of(sheet, lined[k]))
        )
    return array(sheet, found)


@_entered(np.linalg.norm)
def norm(sheet: Sheet, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The root of the sum of |z|², or another norm of the absolute values of a vector."""
    if ord is None or (ord == "fro" and (axis is None or np.size(axis) == 2)):
        total = np.sum(pairs.square_of(pair_of(sheet, x)), axis, keepdims=keepdims)
        return np.sqrt(total)
    lines = x.ndim == 1 if axis is None else np.ndim(axis) == 0
    if not lines:
        raise _unknown(sheet, np.linalg.norm)
    return np.linalg.norm(pairs.absolute(pair_of(sheet, x)), ord, axis, keepdims)


@_entered(np.linalg.solve)
def solve(sheet: Sheet, a: Any, b: Any) -> Any:
    """The solution of a·x = b, by that of the real system for both parts of x."""
    parts = split(sheet, b)
    vector = np.ndim(parts[0]) == 1
    right = np.concatenate(parts, axis=0 if vector else -2)
    found = np.linalg.solve(_block(sheet, a), right)
    n = np.shape(a)[-1] if not isinstance(a, Complex) else a.shape[-1]
    if vector:
        return array(sheet, (found[:n], found[n:]))
    return array(sheet, (found[..., :n, :], found[..., n:, :]))


@_entered(np.linalg.inv)
def inv(sheet: Sheet, a: Any) -> Any:
    """The inverse, by that of the real matrix of both parts."""
    found, n = np.linalg.inv(_block(sheet, a)), a.shape[-1]
    return array(sheet, (found[..., :n, :n], found[..., n:, :n]))


def _block(sheet: Sheet, a: Any) -> Any:
    re, im = split(sheet, a)
    above, below = np.concatenate([re, 0 - im], axis=-1), np.concatenate([im, re], axis=-1)
    return np.concatenate([above, below], axis=-2)


# --------------------------------------------------------------------------------------------------
# Fourier transforms

SCALES = {  # norm -> the power of n that a transform and its inverse are multiplied with
    None: (Fraction(0), Fraction(0)),
    "backward": (Fraction(0), Fraction(0)),
    "ortho": (Fraction(-1, 2), Fraction(1, 2)),
    "forward": (Fraction(-1), Fraction(1)),
}


def _part_of_transform(sheet: Sheet, operation: str, last: int, *operands: Any) -> Value:
    given = [sheet.value(one) for one in operands]
    dtype = np.fft.fft(np.zeros(1, given[0].dtype)).real.dtype
    return result(sheet, operation, *(cast(value, dtype) for value in given), last=last)


def _times_power(sheet: Sheet, given: Any, n: int, exponent: Fraction) -> Value:
    """An array times a power of an extent."""
    value = sheet.value(given)
    scale = Power(SizeOf(size(int(n))), exponent)
    return elementwise(lambda x: Mul((scale, x)), [value], value.dtype)


def _scaled(sheet: Sheet, pair: Pair, n: int, exponent: Fraction) -> Pair:
    if not exponent:
        return pair
    found = (
        None if part is None else built_value(sheet, _times_power, part, n, exponent)
        for part in pair
    )
    return tuple(found)  # type: ignore[return-value]


def _fitted(pair: Pair, n: int) -> Pair:
    """The first n elements of the last axis, with zeros where there are fewer."""
    return tuple(None if part is None else _resized(part, n) for part in pair)  # type: ignore[return-value]


def _resized(part: Any, n: int) -> Any:
    have = np.shape(part)[-1]
    if n == have:
        return part
    if n < have:
        return part[..., :n]
    return np.pad(part, [(0, 0)] * (np.ndim(part) - 1) + [(0, n - have)])


def _along(pair: Pair, axis: int) -> Pair:
    return tuple(None if part is None else np.moveaxis(part, axis, -1) for part in pair)  # type: ignore[return-value]


def _back(pair: Pair, axis: int) -> Pair:
    return tuple(None if part is None else np.moveaxis(part, -1, axis) for part in pair)  # type: ignore[return-value]


def _transform(sheet: Sheet, pair: Pair, inverse: bool, norm: Any) -> Pair:
    """The transform along the last axis."""
    re, im = pair
    word = "ifft" if inverse else "fft"
    n = np.shape(im if re is None else re)[-1]
    _check(norm, n)
    given = [part for part in pair if part is not None]
    name = f"c{word}" if len(given) == 2 else word
    if len(given) == 2:
        given = list(_alike(pair))
    found = tuple(
        built_value(sheet, _part_of_transform, f"{name}_{part}", n, *given)
        for part in ("real", "imag")
    )
    if re is None:
        found = pairs.turned(found)
    return _scaled(sheet, found, n, SCALES[norm][inverse])


def _check(norm: Any, count: int) -> None:
    """Refuses other norms than NumPy's, and transforms of nothing."""
    if norm not in SCALES:
        raise ValueError(f"norm is None, 'backward', 'ortho' or 'forward', not {norm!r}")
    if count < 1:
        raise ValueError(f"invalid number of data points ({count}) specified")


def _one(sheet: Sheet, pair: Pair, inverse: bool, n: Any, axis: int, norm: Any) -> Pair:
    """The transform along one axis, of n elements."""
    lined = _along(pair, axis)
    if n is not None:
        lined = _fitted(lined, _count(n))
    return _back(_transform(sheet, lined, inverse, norm), axis)


def _count(n: Any) -> int:
    count = operator.index(n)
    if count < 1:
        raise ValueError(f"invalid number of data points ({count}) specified")
    return count


def _along_one(inverse: bool) -> Function:
    def build(sheet: Sheet, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        return array(sheet, _one(sheet, pair_of(sheet, _asked(sheet, a)), inverse, n, axis, norm))

    return build


def _asked(sheet: Sheet, a: Any) -> Any:
    """An array, which a list stands for, too."""
    return make_array(sheet, "asarray", a) if isinstance(a, list | tuple) else a


@_entered(np.fft.rfft)
def rfft(sheet: Sheet, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The first n//2 + 1 elements of the transform of a real array."""
    return array(sheet, _rfft(sheet, _real(sheet, a, np.fft.rfft), n, axis, norm))


def _real(sheet: Sheet, a: Any, function: Any) -> Any:
    given = _asked(sheet, a)
    if is_complex(given):
        raise TypeError(f"{public_name(function)} takes a real array")
    return given


def _rfft(sheet: Sheet, a: Any, n: Any, axis: int, norm: Any) -> Pair:
    (lined, _) = _fitted(_along((a, None), axis), a.shape[axis] if n is None else _count(n))
    count = np.shape(lined)[-1]
    _check(norm, count)
    found = (
        built_value(sheet, _part_of_transform, f"rfft_{part}", count // 2 + 1, lined)
        for part in ("real", "imag")
    )
    return _back(_scaled(sheet, tuple(found), count, SCALES[norm][0]), axis)


@_entered(np.fft.irfft)
def irfft(sheet: Sheet, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The real array of n elements of which this is half the transform."""
    return _irfft(sheet, pair_of(sheet, _asked(sheet, a)), n, axis, norm)


def _irfft(sheet: Sheet, pair: Pair, n: Any, axis: int, norm: Any) -> Any:
    lined = _along(pair, axis)
    have = np.shape(lined[1] if lined[0] is None else lined[0])[-1]
    count = _count(2 * (have - 1) if n is None else n)
    _check(norm, count)
    re, im = _fitted(lined, count // 2 + 1)
    given = [re] if im is None else list(_alike((np.zeros(np.shape(im)) if re is None else re, im)))
    word = "irfft" if im is None else "cirfft"
    found = built_value(sheet, _part_of_transform, word, count, *given)
    scaled, _ = _scaled(sheet, (found, None), count, SCALES[norm][1])
    return np.moveaxis(scaled, -1, axis)


def _alike(pair: Pair) -> Pair:
    """The parts in one dtype."""
    wide = np.result_type(*(part.dtype for part in pair))
    return tuple(part if part.dtype == wide else part.astype(wide) for part in pair)


@_entered(np.fft.hfft)
def hfft(sheet: Sheet, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The transform of an array of which this is half, the other half its conjugate."""
    pair = pairs.conjugate(pair_of(sheet, _asked(sheet, a)))
    return _irfft_without(sheet, pair, n, axis, norm)


def _irfft_without(sheet: Sheet, pair: Pair, n: Any, axis: int, norm: Any) -> Any:
    turned = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
    if norm not in turned:
        raise ValueError(f"norm is None, 'backward', 'ortho' or 'forward', not {norm!r}")
    return _irfft(sheet, pair, n, axis, turned[norm])


@_entered(np.fft.ihfft)
def ihfft(sheet: Sheet, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    """The inverse of hfft."""
    turned = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
    if norm not in turned:
        raise ValueError(f"norm is None, 'backward', 'ortho' or 'forward', not {norm!r}")
    found = _rfft(sheet, _real(sheet, a, np.fft.ihfft), n, axis, turned[norm])
    return array(sheet, pairs.conjugate(found))


def _axes_of(a: Any, s: Any, axes: Any) -> tuple[list[int], list[Any]]:
    """The axes of a transform over several, and how many elements each is to have."""
    if axes is None:
        chosen = list(range(a.ndim)) if s is None else list(range(-len(s), 0))
    else:
        chosen = [operator.index(k) for k in axes]
    counts = [None] * len(chosen) if s is None else list(s)
    if len(counts) != len(chosen):
        raise ValueError("s and axes have different lengths")
    return chosen, [None if n in (None, -1) else n for n in counts]


def _several(kind: str, two: bool) -> Function:
    default = (-2, -1) if two else None

    def build(sheet: Sheet, a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        a = _asked(sheet, a)
        chosen, counts = _axes_of(a, s, axes)
        told = list(zip(chosen, counts, strict=True))
        pair = pair_of(sheet, a)
        if kind == "rfft" and told:
            axis, n = told.pop()
            pair = _rfft(sheet, _real(sheet, a, np.fft.rfftn), n, axis, norm)
        last = told.pop() if kind == "irfft" else None
        for axis, n in reversed(told):
            pair = _one(sheet, pair, kind in ("ifft", "irfft"), n, axis, norm)
        if last is not None:
            return _irfft(sheet, pair, last[1], last[0], norm)
        return array(sheet, pair, [a])

    return build


for _name, _inverse in (("fft", False), ("ifft", True)):
    FUNCTIONS[getattr(np.fft, _name)] = _along_one(_inverse)
for _name in ("fft", "ifft", "rfft", "irfft"):
    FUNCTIONS[getattr(np.fft, f"{_name}2")] = _several(_name, True)
    FUNCTIONS[getattr(np.fft, f"{_name}n")] = _several(_name, False)


def _shifted(inverse: bool) -> Function:
    def build(sheet: Sheet, x: Any, axes: Any = None) -> Any:
        if axes is None:
            axes = tuple(range(x.ndim))
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        halves = [x.shape[k] // 2 for k in axes]
        return np.roll(x, [-h if inverse else h for h in halves], axes)

    return build


FUNCTIONS[np.fft.fftshift] = _shifted(False)
FUNCTIONS[np.fft.ifftshift] = _shifted(True)

OF_REAL = frozenset(
    {
        np.imag,
        np.angle,
        np.real_if_close,
        np.isreal,
        np.iscomplex,
        *(function for function in FUNCTIONS if "fft" in getattr(function, "__module__", "")),
    }
)
"""The functions that are traced here, whether an argument is complex or not."""

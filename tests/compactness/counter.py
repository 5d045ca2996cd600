"""What NumPy code computes, counted by running it on arrays that count.

The oracle of compactness: it shares nothing with the cost by which the calculus chooses forms
(``pullback/calculus/cost.py``). That one reads formulas; this one sees what NumPy is asked to do.

:func:`count` runs a backward pass, with the forward pass before it, and tells

- *flops*: elements computed times the work of each (:data:`WEIGHTS`); 2·M·N·K for a product of
  matrices, 2·(the product of all extents) for a pair of an ``einsum``;
- *moved*: elements read and written by each operation, copies and gathers among them; a view is
  free, an axis of stride 0 counts once;
- *largest*: elements of the largest array that was made;
- *peak*: bytes of all arrays that were alive at once, beyond those alive at the start.

The forward pass is free, but for what its outputs don't need: an array that it makes for the
backward pass only counts there. Each array knows the operations that it came from, so this is
found, not declared.

An array that counts is no ``ndarray``: what isn't counted here fails instead of running for free.
"""

from __future__ import annotations

import builtins
import math
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType, GeneratorType
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

Array = np.ndarray[Any, Any]

# Work of one element of the result (of the argument, where it is reduced).
WEIGHTS: dict[float, str] = {
    0: "positive",
    1: """add subtract multiply negative absolute fabs square maximum minimum fmax fmin sign
       equal not_equal less less_equal greater greater_equal logical_and logical_or logical_not
       logical_xor bitwise_and bitwise_or bitwise_xor invert floor ceil rint trunc isfinite isnan
       isinf signbit copysign heaviside conjugate conj clip left_shift right_shift""",
    4: "divide true_divide reciprocal sqrt remainder fmod floor_divide mod divmod",
    8: "hypot cbrt",
    10: """exp exp2 expm1 log log2 log10 log1p sin cos tan tanh sinh cosh arcsin arccos arctan
       arcsinh arccosh arctanh arctan2 logaddexp logaddexp2 erf erfc expit ndtr log_ndtr""",
    20: "power float_power gammaln gamma digamma psi erfinv ndtri polygamma xlogy",
}
WEIGHT = {name: weight for weight, names in WEIGHTS.items() for name in names.split()}

# What NumPy computes for ``x**p`` without a general power.
POWERS: dict[float, float] = {2.0: 1, 0.5: 4, -1.0: 4, 1.0: 0, 0.0: 0}


@dataclass(frozen=True)
class Operation:
    """What was done once, and the operations that its operands came from."""

    flops: float
    moved: float
    made: int
    parents: tuple[int, ...]


@dataclass(frozen=True)
class Count:
    """What code took.

    >>> Count(2.0, 6.0, 2, 16) + Count(1.0, 3.0, 5, 8)
    Count(flops=3.0, moved=9.0, largest=5, peak=16)
    """

    flops: float
    moved: float
    largest: int
    peak: int

    def __add__(self, other: Count) -> Count:
        return Count(
            self.flops + other.flops,
            self.moved + other.moved,
            max(self.largest, other.largest),
            max(self.peak, other.peak),
        )

    @property
    def work(self) -> float:
        """One number: operations on elements, reads and writes of them."""
        return self.flops + self.moved


class Meter:
    """All operations of one run, in order, and the bytes alive."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.live = 0
        self.peak = 0

    def note(self, flops: float, moved: float, made: int, parents: Iterable[Buffer]) -> int:
        """Notes an operation; its number."""
        seen = tuple(dict.fromkeys(p.operation for p in parents))
        self.operations.append(Operation(float(flops), float(moved), made, seen))
        return len(self.operations) - 1

    def total(self, numbers: Iterable[int]) -> Count:
        """What some operations took together (without the peak)."""
        chosen = [self.operations[n] for n in numbers]
        return Count(
            sum(o.flops for o in chosen),
            sum(o.moved for o in chosen),
            max((o.made for o in chosen), default=0),
            0,
        )

    def needed(self, arrays: Iterable[Counted]) -> set[int]:
        """The operations that arrays came from."""
        waiting = [a.buffer.operation for a in arrays]
        found: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self.operations[number].parents
        return found


class Buffer:
    """The memory of an array, which its views share."""

    __slots__ = ("meter", "nbytes", "operation")

    def __init__(self, meter: Meter, operation: int, nbytes: int) -> None:
        self.meter, self.operation, self.nbytes = meter, operation, nbytes
        meter.live += nbytes
        meter.peak = max(meter.peak, meter.live)

    def __del__(self) -> None:
        self.meter.live -= self.nbytes


def elements(value: Any) -> int:
    """The elements that stand in memory for an operand; 0 for a number."""
    if not isinstance(value, np.ndarray):
        return 0
    return math.prod(n for n, s in zip(value.shape, value.strides, strict=True) if s or n == 0)


def plain(value: Any) -> Any:
    """A value, or containers of values, with plain arrays in place of those that count."""
    match value:
        case Counted():
            return value.value
        case tuple() if type(value) is tuple:
            return tuple(plain(v) for v in value)
        case list():
            return [plain(v) for v in value]
        case slice():
            return slice(plain(value.start), plain(value.stop), plain(value.step))
        case dict():
            return {k: plain(v) for k, v in value.items()}
        case _:
            return value


def counted_in(value: Any) -> list[Counted]:
    """All arrays that count in a value or in containers of values."""
    match value:
        case Counted():
            return [value]
        case tuple() | list():
            return [c for v in value for c in counted_in(v)]
        case dict():
            return [c for v in value.values() for c in counted_in(v)]
        case slice():
            return counted_in([value.start, value.stop, value.step])
        case _:
            return []


class Counted(NDArrayOperatorsMixin):
    """An array that counts what is done with it."""

    __slots__ = ("buffer", "value")
    __hash__ = None

    def __init__(self, value: Array, buffer: Buffer) -> None:
        self.value, self.buffer = value, buffer

    @property
    def meter(self) -> Meter:
        return self.buffer.meter

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        raise TypeError("an array that counts was read as a plain one, uncounted")

    def __repr__(self) -> str:
        return f"Counted({self.value!r})"

    # --- ufuncs ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        out = kwargs.pop("out", None)
        target = None if out is None or out[0] is None else out[0]
        operands = [plain(x) for x in inputs]
        options = plain(kwargs)
        if method == "at":
            return _at(ufunc, inputs, operands)
        found = getattr(ufunc, method)(*operands, **options)
        results = found if isinstance(found, tuple) else (found,)
        flops = _flops(ufunc, method, operands, np.asarray(results[0]))
        reads = sum(elements(x) for x in operands)
        sources = counted_in([inputs, kwargs])
        if target is not None:
            target.value[...] = results[0]
            write(target, flops, reads + elements(target.value), sources)
            return target
        made = [
            fresh(
                self.meter, np.asarray(r), flops if n == 0 else 0, reads if n == 0 else 0, sources
            )
            for n, r in enumerate(results)
        ]
        return tuple(made) if isinstance(found, tuple) else made[0]

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        handler = HANDLERS.get(function)
        if handler is None:
            raise TypeError(f"np.{function.__name__} isn't counted: tests/compactness/counter.py")
        return handler(function, *args, **kwargs)

    # --- what NumPy's arrays have ---

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def nbytes(self) -> int:
        return self.value.nbytes

    @property
    def T(self) -> Counted:
        return Counted(self.value.T, self.buffer)

    @property
    def mT(self) -> Counted:
        return Counted(self.value.mT, self.buffer)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.value)))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return self.value.__index__()

    def __float__(self) -> float:
        return float(self.value)

    def item(self) -> Any:
        return self.value.item()

    def __getitem__(self, key: Any) -> Counted:
        found = np.asarray(self.value[plain(key)])
        if is_basic(key):
            return Counted(found, self.buffer)
        keys = sum(elements(k.value) for k in counted_in(key))
        return fresh(self.meter, found, 0, keys + found.size, [self, *counted_in(key)])

    def __setitem__(self, key: Any, new: Any) -> None:
        place = self.value[plain(key)]
        content = plain(new)
        if isinstance(content, np.ndarray) and is_basic(key) and _same_memory(content, place):
            return
        self.value[plain(key)] = content
        keys = sum(elements(k.value) for k in counted_in(key))
        moved = keys + elements(content) + np.size(place)
        write(self, 0, moved, counted_in([key, new]))

    def reshape(self, *shape: Any, **kwargs: Any) -> Counted:
        return layout(np.reshape, self, shape[0] if len(shape) == 1 else shape, **kwargs)

    def transpose(self, *axes: Any) -> Counted:
        order = axes[0] if len(axes) == 1 else axes or None
        return Counted(np.transpose(self.value, order), self.buffer)

    def swapaxes(self, a: int, b: int) -> Counted:
        return Counted(self.value.swapaxes(a, b), self.buffer)

    def squeeze(self, axis: Any = None) -> Counted:
        return Counted(self.value.squeeze(axis), self.buffer)

    def ravel(self) -> Counted:
        return layout(np.ravel, self)

    def diagonal(self, *args: Any, **kwargs: Any) -> Counted:
        return Counted(np.diagonal(self.value, *args, **kwargs), self.buffer)

    def flatten(self) -> Counted:
        return self.ravel().copy()

    def copy(self, order: str = "C") -> Counted:
        return fresh(self.meter, self.value.copy(), 0, elements(self.value), [self])

    def astype(self, dtype: Any, copy: bool = True) -> Counted:
        if not copy and self.value.dtype == np.dtype(dtype):
            return self
        return fresh(self.meter, self.value.astype(dtype), 0, elements(self.value), [self])

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.add.reduce(self, axis=axis, dtype=dtype, **kwargs)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.multiply.reduce(self, axis=axis, dtype=dtype, **kwargs)

    def max(self, axis: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.maximum.reduce(self, axis=axis, **kwargs)

    def min(self, axis: Any = None, out: Any = None, **kwargs: Any) -> Any:
        return np.minimum.reduce(self, axis=axis, **kwargs)

    def any(self, axis: Any = None, **kwargs: Any) -> Any:
        return np.logical_or.reduce(self, axis=axis, **kwargs)

    def all(self, axis: Any = None, **kwargs: Any) -> Any:
        return np.logical_and.reduce(self, axis=axis, **kwargs)

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        total = np.add.reduce(self, axis=axis, keepdims=keepdims)
        return np.divide(total, max(self.size // max(total.size, 1), 1))

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        centred = self - self.mean(axis, keepdims=True)
        np.multiply(centred, centred, out=(centred,))
        total = np.add.reduce(centred, axis=axis, keepdims=keepdims)
        return np.divide(total, self.size // total.size - ddof)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Any:
        return np.sqrt(self.var(axis, ddof, keepdims))

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Counted:
        return scan(np.argmax, self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Counted:
        return scan(np.argmin, self, axis=axis, keepdims=keepdims)

    def argsort(self, axis: int = -1, **kwargs: Any) -> Counted:
        return ordered(np.argsort, self, axis=axis, **kwargs)

    def cumsum(self, axis: Any = None) -> Any:
        flat = self.ravel() if axis is None else self
        return np.add.accumulate(flat, axis=axis or 0)

    def cumprod(self, axis: Any = None) -> Any:
        flat = self.ravel() if axis is None else self
        return np.multiply.accumulate(flat, axis=axis or 0)

    def clip(self, low: Any = None, high: Any = None) -> Any:
        found = self
        found = found if low is None else np.maximum(found, low)
        return found if high is None else np.minimum(found, high)

    def dot(self, other: Any) -> Any:
        return _dot(np.dot, self, other)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        return self.diagonal(offset, axis1, axis2).sum(-1)

    def take(self, indices: Any, axis: Any = None) -> Counted:
        return layout(np.take, self, indices, axis=axis)

    def repeat(self, repeats: Any, axis: Any = None) -> Counted:
        return layout(np.repeat, self, repeats, axis=axis)

    def fill(self, number: Any) -> None:
        self[...] = number


def fresh(
    meter: Meter, value: Array, flops: float, reads: float, sources: Iterable[Counted]
) -> Counted:
    """An array that an operation made."""
    number = meter.note(flops, reads + value.size, value.size, [s.buffer for s in sources])
    return Counted(value, Buffer(meter, number, value.nbytes))


def all_fresh(
    meter: Meter, values: Sequence[Any], flops: float, reads: float, sources: Sequence[Counted]
) -> list[Counted]:
    """The arrays that one operation made."""
    first, *rest = (np.asarray(v) for v in values)
    made = [fresh(meter, first, flops, reads, sources)]
    return made + [fresh(meter, value, 0, 0, sources) for value in rest]


def write(target: Counted, flops: float, moved: float, sources: Iterable[Counted]) -> None:
    """Notes that an array was written into."""
    buffers = [target.buffer, *(s.buffer for s in sources)]
    target.buffer.operation = target.meter.note(flops, moved, 0, buffers)


def is_basic(key: Any) -> bool:
    """Whether a subscript gives a view."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        p is None or p is Ellipsis or isinstance(p, int | np.integer | slice) or _is_scalar(p)
        for p in parts
    )


def _is_scalar(part: Any) -> bool:
    return isinstance(part, Counted) and part.ndim == 0 and part.dtype.kind in "iu"


def _same_memory(a: Any, b: Any) -> bool:
    return (
        isinstance(b, np.ndarray)
        and a.__array_interface__["data"] == b.__array_interface__["data"]
        and (a.shape, a.strides) == (b.shape, b.strides)
    )


def _flops(ufunc: np.ufunc, method: str, operands: Sequence[Any], result: Array) -> float:
    name = ufunc.__name__
    if name in ("matmul", "vecdot", "matvec", "vecmat"):
        inner = np.shape(operands[0])[-2 if name == "vecmat" and np.ndim(operands[0]) > 1 else -1]
        return 2.0 * result.size * (np.shape(operands[0])[-1] if name == "vecmat" else inner)
    if method in ("reduce", "accumulate", "reduceat"):
        return WEIGHT[name] * float(np.size(operands[0]))
    return _weight(name, operands) * float(result.size)


def _weight(name: str, operands: Sequence[Any]) -> float:
    if name == "power" and np.ndim(operands[1]) == 0:
        return POWERS.get(float(operands[1]), WEIGHT[name])
    return WEIGHT[name]


def _at(ufunc: np.ufunc, inputs: Sequence[Any], operands: Sequence[Any]) -> None:
    target, key, *rest = operands
    touched = np.asarray(target[key]).size
    ufunc.at(target, key, *rest)
    keys = sum(elements(k) for k in (key if isinstance(key, tuple) else (key,)))
    moved = keys + 2 * touched + sum(elements(x) for x in rest)
    write(inputs[0], WEIGHT[ufunc.__name__] * touched, moved, counted_in(inputs[1:]))


# --- NumPy's functions ---


def meter_of(*args: Any) -> Meter:
    return counted_in(args)[0].meter


def layout(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs what only moves elements: a view where NumPy gives one, else a copy."""
    found = function(*plain(args), **plain(kwargs))
    sources = counted_in([args, kwargs])

    def one(result: Array) -> Counted:
        for source in sources:
            if np.may_share_memory(result, source.value):
                return Counted(result, source.buffer)
        reads = min(sum(elements(s.value) for s in sources), result.size)
        return fresh(sources[0].meter, result, 0, reads, sources)

    if isinstance(found, list | tuple):
        return type(found)(one(r) for r in found)
    return one(np.asarray(found))


def scan(function: Callable[..., Any], x: Counted, *args: Any, **kwargs: Any) -> Counted:
    """Runs what looks at every element once."""
    found = np.asarray(function(x.value, *args, **kwargs))
    return fresh(x.meter, found, x.size, elements(x.value), [x])


def ordered(function: Callable[..., Any], x: Counted, *args: Any, **kwargs: Any) -> Counted:
    """Runs a sort: n·log n comparisons a row."""
    found = np.asarray(function(x.value, *args, **kwargs))
    axis = kwargs.get("axis", -1)
    extent = x.size if axis is None else x.shape[axis]
    return fresh(x.meter, found, x.size * math.log2(max(extent, 2)), elements(x.value), [x])


def _method(name: str) -> Callable[..., Any]:
    return lambda function, x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _told(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*plain(args), **plain(kwargs))


def _where(function: Callable[..., Any], *args: Any) -> Any:
    if len(args) == 1:
        return layout(function, *args)
    found = np.asarray(np.where(*plain(args)))
    reads = sum(elements(v) for v in plain(args))
    return fresh(meter_of(args), found, found.size, reads, counted_in(args))


def _pairs(a: Any, b: Any, found: Any, inner: float) -> Counted:
    """The result of products and sums over ``inner`` elements each."""
    found = np.asarray(found)
    reads = elements(plain(a)) + elements(plain(b))
    flops = (2.0 if inner > 1 else 1.0) * found.size * inner
    return fresh(meter_of(a, b), found, flops, reads, counted_in([a, b]))


def _dot(function: Callable[..., Any], a: Any, b: Any) -> Counted:
    inner = np.shape(plain(a))[-1] if np.ndim(plain(a)) and np.ndim(plain(b)) else 1
    return _pairs(a, b, np.dot(plain(a), plain(b)), inner)


def _vdot(function: Callable[..., Any], a: Any, b: Any) -> Counted:
    return _pairs(a, b, np.vdot(plain(a), plain(b)), np.size(plain(a)))


def _outer(function: Callable[..., Any], a: Any, b: Any) -> Counted:
    return _pairs(a, b, np.outer(plain(a), plain(b)), 1)


def _cross(function: Callable[..., Any], a: Any, b: Any) -> Counted:
    """Two products and their difference, component by component, as NumPy takes it."""
    found = np.cross(plain(a), plain(b))
    reads = 2 * (elements(plain(a)) + elements(plain(b))) + 4 * found.size
    return fresh(meter_of(a, b), found, 3.0 * found.size, reads, counted_in([a, b]))


def _inner(function: Callable[..., Any], a: Any, b: Any) -> Counted:
    return _pairs(a, b, np.inner(plain(a), plain(b)), np.shape(plain(a))[-1])


def _tensordot(function: Callable[..., Any], a: Any, b: Any, axes: Any = 2) -> Counted:
    found = np.asarray(np.tensordot(plain(a), plain(b), axes))
    total = np.size(plain(a)) * np.size(plain(b))
    return _pairs(a, b, found, math.sqrt(total / max(found.size, 1)))


def _einsum(
    function: Callable[..., Any], subscripts: str, *operands: Any, optimize: Any = False
) -> Any:
    values = [np.asarray(plain(o)) for o in operands]
    found = np.einsum(subscripts, *values, optimize=optimize)
    sources = counted_in(list(operands))
    if len(values) == 1 and np.may_share_memory(found, values[0]):
        return Counted(found, sources[0].buffer)
    letters, output = subscripts_of(subscripts, values)
    pairs = zip("".join(letters), (n for v in values for n in v.shape), strict=True)
    extents = dict(pairs)
    path: list[Any] = [tuple(range(len(values)))]
    if optimize is not False:
        path = np.einsum_path(subscripts, *values, optimize=optimize)[0][1:]
    terms = list(letters)
    meter = meter_of(operands)
    for number, places in enumerate(path):
        parts = [terms[p] for p in places]
        terms = [t for p, t in enumerate(terms) if p not in places]
        last = number == len(path) - 1
        seen = "".join(dict.fromkeys("".join(parts)))
        kept = output if last else "".join(c for c in seen if c in output or c in "".join(terms))
        points = math.prod(extents[c] for c in seen)
        made = math.prod(extents[c] for c in kept)
        work = points * (len(parts) - 1 + (points > made))
        reads = sum(math.prod(extents[c] for c in dict.fromkeys(p)) for p in parts)
        if last:
            return fresh(meter, np.asarray(found), work, reads, sources)
        # The intermediate result: only noted, its node belongs to what comes of it.
        inner = fresh(meter, np.empty(made, np.bool_), work, reads, sources)
        sources = [*sources, inner]
        terms.append(kept)
    raise AssertionError("a path has steps")


def subscripts_of(subscripts: str, values: Sequence[Array]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with an ellipsis spelled out.

    >>> subscripts_of("...i,i", [np.ones((2, 3)), np.ones(3)])
    (['zi', 'i'], 'z')
    """
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = [c for c in reversed(string.ascii_letters[:26]) if c not in subscripts]
    more = max(
        (v.ndim - len(t) + 3 for t, v in zip(terms, values, strict=True) if "..." in t), default=0
    )
    dots = "".join(reversed(spare[:more]))

    def spelled(term: str, ndim: int) -> str:
        own = ndim - len(term) + 3
        return term.replace("...", dots[more - own :]) if "..." in term else term

    letters = [spelled(t, v.ndim) for t, v in zip(terms, values, strict=True)]
    if arrow:
        return letters, right.replace("...", dots)
    every = "".join(letters)
    return letters, dots + "".join(
        sorted(c for c in dict.fromkeys(every) if every.count(c) == 1 and c not in dots)
    )


# Flops of matrix operations: of n×n matrices, k columns beside them.
MATRICES: dict[str, Callable[[float, float], float]] = {
    "inv": lambda n, k: 2 * n**3,
    "solve": lambda n, k: 2 / 3 * n**3 + 2 * n**2 * k,
    "cholesky": lambda n, k: n**3 / 3,
    "det": lambda n, k: 2 / 3 * n**3,
    "slogdet": lambda n, k: 2 / 3 * n**3,
    "eigh": lambda n, k: 9 * n**3,
    "eigvalsh": lambda n, k: 4 / 3 * n**3,
    "svd": lambda n, k: 20 * n**3,
}


def _matrices(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    operands = plain(args)
    found = function(*operands, **kwargs)
    n = operands[0].shape[-1]
    batch = operands[0].size / max(n * n, 1)
    columns = operands[1].size / (batch * n) if len(operands) > 1 else 0
    flops = batch * MATRICES[function.__name__](n, columns)
    reads = sum(elements(o) for o in operands)
    several = isinstance(found, tuple)
    results = found if several else (found,)
    made = all_fresh(meter_of(args), results, flops, reads, counted_in(args))
    if not several:
        return made[0]
    return type(found)(*made) if hasattr(found, "_fields") else tuple(made)


def _norm(function: Callable[..., Any], x: Any, ord: Any = None, **kwargs: Any) -> Any:
    if ord not in (None, 2, "fro") or (ord == 2 and x.ndim > 1 and "axis" not in kwargs):
        raise TypeError("this norm isn't counted")
    return np.sqrt((x * x).sum(**kwargs))


def _diff(function: Callable[..., Any], x: Any, n: int = 1, axis: int = -1) -> Any:
    if n != 1:
        raise TypeError("np.diff is counted for n=1")
    whole = (slice(None),) * (axis % x.ndim)
    return x[(*whole, slice(1, None))] - x[(*whole, slice(None, -1))]


def _places(function: Callable[..., Any], keys: Any, *args: Any, **kwargs: Any) -> Counted:
    found = np.asarray(function(plain(keys), *args, **kwargs))
    reads = sum(elements(k) for k in plain(keys))
    flops = 2.0 * found.size * len(keys)
    return fresh(meter_of(keys), found, flops, reads, counted_in(keys))


def _like(function: Callable[..., Any], x: Any, *args: Any, **kwargs: Any) -> Counted:
    value = function(plain(x), *args, **kwargs)
    return fresh(meter_of(x), value, 0, -value.size if function is np.empty_like else 0, [])


METHODS = """sum prod max min any all mean var std argmax argmin argsort cumsum cumprod clip trace
    diagonal"""
LAYOUTS = """reshape transpose swapaxes moveaxis expand_dims squeeze broadcast_to ravel flip fliplr
    flipud concatenate stack hstack vstack column_stack take take_along_axis repeat tile roll tril
    triu pad split array_split copy diag atleast_1d atleast_2d broadcast_arrays nonzero rot90 append
    delete compress meshgrid matrix_transpose"""
TOLD = "shape ndim size result_type iscomplexobj"
LIKE = "zeros_like ones_like empty_like full_like"
MADE = "zeros ones full arange eye identity tri linspace indices"

HANDLERS: dict[Any, Callable[..., Any]] = {
    **{getattr(np, name): _method(name) for name in METHODS.split()},
    np.amax: _method("max"),
    np.amin: _method("min"),
    **{getattr(np, name): layout for name in LAYOUTS.split()},
    np.lib.stride_tricks.sliding_window_view: layout,
    np.lib.stride_tricks.as_strided: layout,
    **{getattr(np, name): _told for name in TOLD.split()},
    **{getattr(np.linalg, name): _matrices for name in MATRICES},
    **{getattr(np, name): _like for name in LIKE.split()},
    np.sort: ordered,
    np.ravel_multi_index: _places,
    np.where: _where,
    np.einsum: _einsum,
    np.dot: _dot,
    np.vdot: _vdot,
    np.inner: _inner,
    np.outer: _outer,
    np.cross: _cross,
    np.tensordot: _tensordot,
    np.linalg.norm: _norm,
    np.diff: _diff,
}


class CountingNumPy:
    """Stands for the module ``numpy``: what is made from nothing counts, too."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        if name in MADE.split():
            return lambda *a, **k: self._made(found(*plain(a), **plain(k)), 0)
        if name == "ogrid":
            return _Grid(self)
        return found

    def _made(self, value: Array, reads: float) -> Counted:
        return fresh(self._meter, value, 0, reads, [])

    def empty(self, *args: Any, **kwargs: Any) -> Counted:
        value = np.empty(*args, **kwargs)
        return self._made(value, -value.size)

    def asarray(self, value: Any, dtype: Any = None) -> Any:
        if isinstance(value, Counted):
            return value if dtype is None else value.astype(dtype, copy=False)
        inside = counted_in(value)
        if not inside:
            return np.asarray(value, dtype)
        made = np.asarray(plain(value), dtype)
        return fresh(self._meter, made, 0, made.size, inside)

    asanyarray = asarray

    def array(self, value: Any, dtype: Any = None) -> Any:
        found = self.asarray(value, dtype)
        return found.copy() if found is value else found

    def ascontiguousarray(self, value: Any, dtype: Any = None) -> Any:
        found = self.asarray(value, dtype)
        contiguous = not isinstance(found, Counted) or found.value.flags.c_contiguous
        return found if contiguous else found.copy()

    def broadcast_shapes(self, *shapes: Any) -> Any:
        return np.broadcast_shapes(*shapes)


class _Grid:
    """``np.ogrid`` of arrays that count."""

    def __init__(self, numpy: CountingNumPy) -> None:
        self._numpy = numpy

    def __getitem__(self, key: Any) -> Any:
        found = np.ogrid[plain(key)]
        if isinstance(found, tuple | list):
            return tuple(self._numpy._made(f, 0) for f in found)
        return self._numpy._made(found, 0)


# --- running ---


def counting(function: FunctionType, meter: Meter) -> Callable[..., Any]:
    """A function whose ``np`` counts, and that of the functions beside it in its module."""
    numpy = CountingNumPy(meter)
    scope: dict[str, Any] = {}

    def moved(value: Any) -> Any:
        if value is np:
            return numpy
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            made = FunctionType(
                value.__code__, scope, value.__name__, value.__defaults__, value.__closure__
            )
            made.__kwdefaults__ = value.__kwdefaults__
            return made
        return value

    scope.update({name: moved(value) for name, value in function.__globals__.items()})
    found: Callable[..., Any] = moved(function)
    return found


def counting_module(source: str, meter: Meter) -> Mapping[str, Any]:
    """What generated source defines, run with a NumPy that counts."""
    numpy = CountingNumPy(meter)

    def imported(name: str, *args: Any) -> Any:
        return numpy if name == "numpy" else builtins.__import__(name, *args)

    scope: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": imported}}
    scope["__name__"] = "counted"
    exec(compile(source, "<counted>", "exec"), scope)
    return scope


def given(meter: Meter, value: Any) -> Any:
    """An input: counts for nothing until it is read."""
    if isinstance(value, np.ndarray):
        array = np.array(value)
        return Counted(array, Buffer(meter, meter.note(0, 0, 0, []), array.nbytes))
    return value


def count(
    forward: Callable[[], Any], backward: Callable[[Any], Any], meter: Meter
) -> tuple[Count, Any, Any]:
    """Runs ``forward()``, which gives outputs and a rest, and ``backward(rest)``.

    Gives what the second took, with what the first did that its outputs don't need; the outputs,
    and the gradients."""
    outputs, rest = forward()
    start, needed = len(meter.operations), meter.needed(counted_in(outputs))
    before = meter.peak = meter.live
    gradients = backward(rest)
    spent = [n for n in range(len(meter.operations)) if n >= start or n not in needed]
    spared = meter.total(spent)
    peak = meter.peak - before
    return Count(spared.flops, spared.moved, spared.largest, peak), plain(outputs), plain(gradients)


def count_generator(
    published: FunctionType, inputs: Sequence[Any], cotangents: Callable[[Any], Any]
) -> tuple[Count, Any, Any]:
    """Counts a forward and backward pass written as one generator, which yields the outputs, is
    sent their cotangents, and returns the gradients."""
    meter = Meter()
    wrapped = [given(meter, x) for x in inputs]

    def forward() -> tuple[Any, GeneratorType[Any, Any, Any]]:
        running = counting(published, meter)(*wrapped)
        return next(running), running

    def backward(running: GeneratorType[Any, Any, Any]) -> Any:
        try:
            running.send(upstream)
        except StopIteration as end:
            return end.value
        raise AssertionError("a published pass yields once")

    outputs, running = forward()
    upstream = _upstream(meter, cotangents(plain(outputs)))
    return count(lambda: (outputs, running), backward, meter)


def _upstream(meter: Meter, value: Any) -> Any:
    return (
        tuple(given(meter, v) for v in value) if isinstance(value, tuple) else given(meter, value)
    )


def count_source(
    source: str, inputs: Mapping[str, Any], cotangents: Callable[[Any], Any]
) -> tuple[Count, Any, Any]:
    """Counts generated source with ``forward`` and ``backward``."""
    meter = Meter()
    scope = counting_module(source, meter)
    wrapped = {name: given(meter, x) for name, x in inputs.items()}
    outputs, cache = scope["forward"](**wrapped)
    upstream = _upstream(meter, cotangents(plain(outputs)))
    return count(lambda: (outputs, cache), lambda kept: scope["backward"](upstream, kept), meter)


def largest_of_source(source: str, inputs: Mapping[str, Any]) -> int:
    """Elements of the largest array among inputs, outputs and forward values of generated
    source."""
    meter = Meter()
    counting_module(source, meter)["forward"](**{k: given(meter, x) for k, x in inputs.items()})
    made = max((o.made for o in meter.operations), default=0)
    return max([made, *(np.size(x) for x in inputs.values())])


def largest_forward(function: FunctionType, inputs: Sequence[Any]) -> int:
    """Elements of the largest array among inputs, outputs and forward values."""
    meter = Meter()
    wrapped = [given(meter, x) for x in inputs]
    counting(function, meter)(*wrapped)
    made = max((o.made for o in meter.operations), default=0)
    return max([made, *(np.size(x) for x in inputs)])

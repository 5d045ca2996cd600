"""Complex values in a traced function: pairs of real traced arrays.

What is derived, planned and printed is real: a complex array stands for its real and its imaginary
part, and an operation on it for the real operations that it is made of. An imaginary part that is
0 as it stands (of what was real) is None, and takes part in nothing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..errors import PullbackError, TraceTypeError
from . import pairs
from .made import Made, made
from .operations import Tracer, make_array, numpys_refusal
from .pairs import Pair
from .places import here
from .record import Sheet, running
from .rows import numpy_methods, public_name

HINT = "take the real and the imaginary part first: z.real, z.imag, np.abs(z), np.angle(z)"


class Complex(np.lib.mixins.NDArrayOperatorsMixin):
    """A complex array while a function is traced."""

    __slots__ = ("__weakref__", "_base", "_im", "_pullback_sheet", "_re", "_view")
    __array_priority__ = 1001

    def __init__(
        self,
        sheet: Sheet,
        re: Any,
        im: Any,
        base: Complex | None = None,
        view: Callable[[Any], Any] | None = None,
    ) -> None:
        self._pullback_sheet = sheet
        self._re, self._im = re, im
        self._base, self._view = base, view  # what has the parts that aren't there

    @property
    def re(self) -> Any:
        """The real part, None where it is 0 as it stands."""
        return self._held("_re")

    @property
    def im(self) -> Any:
        """The imaginary part, None where it is 0 as it stands."""
        return self._held("_im")

    def _held(self, name: str) -> Any:
        if getattr(self, name) is None and self._base is not None and self._view is not None:
            part = self._base._held(name)
            if part is not None:
                setattr(self, name, self._view(part))
        return getattr(self, name)

    @property
    def _any(self) -> Any:
        return self.im if self.re is None else self.re

    @property
    def _pullback_plain(self) -> Any:
        """The array of numbers that this one is so far, None for one that is traced."""
        held = [None if part is None else part._pullback_plain for part in (self.re, self.im)]
        if any(p is not None and h is None for p, h in zip((self.re, self.im), held, strict=True)):
            return None
        re, im = (np.zeros(self._any.shape) if part is None else part for part in held)
        return (re + 1j * im).astype(self.dtype)

    def _pullback_parts(self) -> tuple[Any, Any]:
        """The parts, zeros where there is none."""
        return self.real, self.imag

    # What the array says of itself

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        found: tuple[int, ...] = self._any.shape
        return found

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return int(self._any.ndim)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._any.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """complex64 or complex128."""
        return np.result_type(self._any.dtype, np.complex64)

    @property
    def real(self) -> Any:
        """The real part."""
        return self._filled("_re")

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return self._filled("_im")

    @property
    def T(self) -> Any:
        """The axes reversed."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return np.swapaxes(self, -1, -2)

    def _filled(self, name: str) -> Any:
        """A part, which is made of zeros where there is none."""
        if self._held(name) is None:
            if self._base is not None:
                self._base._filled(name)
                return self._held(name)
            zeros = np.zeros(tuple(map(int, self.shape)), self._any.dtype)
            setattr(self, name, made(self._pullback_sheet, zeros))
        return getattr(self, name)

    def __len__(self) -> int:
        return len(self._any)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[k] for k in range(len(self))])

    def __repr__(self) -> str:
        return f"<traced array {self.dtype}{list(self.shape)}>"

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return called_ufunc(self._pullback_sheet, ufunc, method, inputs, options)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        return called_function(self._pullback_sheet, function, args, options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        held = self._pullback_plain
        if held is None:
            raise self._refused("a complex array's values", "they aren't known yet")
        return held if dtype is None else held.astype(dtype)

    def _refused(self, what: str, hint: str = HINT) -> Exception:
        return self._pullback_sheet.refusal(f"{what} can't be traced", hint=hint)

    def __bool__(self) -> bool:
        raise self._refused("deciding (if, while, and, or, not) by a complex array")

    def __float__(self) -> float:
        raise self._refused("float() of a complex array", "write z.real")

    __int__ = __index__ = __float__

    def __complex__(self) -> complex:
        raise self._refused("complex() of a traced array", "keep it an array")

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(np.ndarray, name):
            raise self._refused(f".{name} of a complex array")
        raise AttributeError(f"a traced complex array has no attribute {name!r}")

    # Elements

    def __getitem__(self, key: Any) -> Any:
        return self._seen(lambda part: part[key])

    def _seen(self, view: Callable[[Any], Any]) -> Complex:
        """The array of views of the parts."""
        seen: Any
        re, im = (None if part is None else view(part) for part in (self.re, self.im))
        others = [part for part in (re, im) if part is not None and not isinstance(part, Tracer)]
        if any(hasattr(type(part), "_pullback_selects") for part in others):
            raise self._refused(
                "a complex array at a traced mask",
                "write np.where(mask, z, 0), or take z.real[mask] and z.imag[mask]",
            )
        if others:  # elements of what isn't traced
            return array(self._pullback_sheet, (re, im))
        seen, of = (im, self.im) if re is None else (re, self.re)
        if seen._memory is not of._memory:  # a copy
            return Complex(self._pullback_sheet, re, im)
        return Complex(self._pullback_sheet, re, im, self, view)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._store(lambda part, given: operator.setitem(part, key, given), value)

    def _store(self, store: Callable[[Any, Any], None], value: Any) -> None:
        """Stores the parts of a value into the parts of this one."""
        sheet = self._pullback_sheet
        for name, given in zip(("_re", "_im"), pair_of(sheet, value), strict=True):
            if given is not None or self._held(name) is not None:
                store(self._filled(name), 0.0 if given is None else given)

    # Methods

    def conj(self) -> Any:
        """The conjugate."""
        return np.conjugate(self)

    conjugate = conj

    def copy(self, order: str = "C") -> Any:
        """The same elements in memory of their own."""
        re, im = (None if part is None else part.copy() for part in (self.re, self.im))
        return Complex(self._pullback_sheet, re, im)

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def astype(self, dtype: Any, **options: Any) -> Any:
        """The same numbers as another dtype; only the real part where that is real."""
        wanted = np.dtype(dtype)
        if wanted.kind != "c":
            return self.real.astype(wanted)
        width = np.zeros(0, wanted).real.dtype
        re, im = (None if p is None else p.astype(width).copy() for p in (self.re, self.im))
        return Complex(self._pullback_sheet, re, im)

    reshape, transpose = Tracer.reshape, Tracer.transpose

    def flatten(self, order: Any = "C") -> Any:
        """One axis of all elements."""
        return np.ravel(self, order).copy()


numpy_methods(
    Complex,
    *("sum", "mean", "var", "std", "dot", "trace", "diagonal", "swapaxes", "squeeze", "ravel"),
    *("repeat", "take", "cumsum", "round", "prod"),
)


# --------------------------------------------------------------------------------------------------
# Pairs and arrays


def is_complex(given: Any) -> bool:
    """Whether a value is complex.

    >>> is_complex(1j), is_complex(np.zeros(2)), is_complex(np.zeros(2, complex))
    (True, False, True)
    """
    kind = type(given)
    if kind is complex or kind is Complex:
        return True
    return isinstance(given, np.ndarray | np.generic) and given.dtype.kind == "c"


def complex_in(given: Iterable[Any]) -> bool:
    """Whether a complex value is among values, or in lists of them."""
    for one in given:
        if is_complex(one) or (isinstance(one, list | tuple) and complex_in(one)):
            return True
    return False


def pair_of(sheet: Sheet, given: Any) -> Pair:
    """The real and the imaginary part of a value."""
    if isinstance(given, Complex):
        return given.re, given.im
    if not is_complex(given):
        return given, None
    re, im = given.real, given.imag
    if isinstance(given, np.ndarray):
        re, im = re.copy(), im.copy()
    if not np.any(im) and not np.any(np.signbit(im)):
        return re, None
    return (None if not np.any(re) and not np.any(np.signbit(re)) else re), im


def array(sheet: Sheet, pair: Pair, given: Sequence[Any] = ()) -> Complex:
    """The array of a pair; parts that are those of the operands ``given`` are copied."""
    parts = [part for part in pair if part is not None]
    shape = np.broadcast_shapes(*(np.shape(part) for part in parts))
    dtype = _real_dtype(parts)
    known = [p for one in given for p in ((one.re, one.im) if type(one) is Complex else (one,))]
    ready: list[Any] = []
    for part in pair:
        if part is None:
            ready.append(None)
            continue
        if not isinstance(part, Tracer):
            held = np.broadcast_to(np.asarray(part, dtype), tuple(map(int, shape))).copy()
            ready.append(made(sheet, held))
            continue
        if np.shape(part) != shape:
            part = np.broadcast_to(part, shape).copy()
        if part.dtype != dtype:
            part = part.astype(dtype)
        elif any(part is one for one in known):
            part = part.copy()
        ready.append(part)
    return Complex(sheet, *ready)


def array_of(sheet: Sheet, given: Any, dtype: Any, copy: Any) -> Any:
    """``np.array`` and its relatives of complex values, or of lists of them."""
    if isinstance(given, Complex):
        found = given.copy() if copy else given
    else:
        parts = (_listed(sheet, part) for part in split(sheet, given))
        found = array(sheet, tuple(parts), [given])
    return found if dtype is None or np.dtype(dtype) == found.dtype else found.astype(dtype)


def _listed(sheet: Sheet, part: Any) -> Any:
    if not isinstance(part, list | tuple):
        return part
    return make_array(sheet, "asarray", part)


def split(sheet: Sheet, given: Any) -> tuple[Any, Any]:
    """A value, or a list of them, by its real parts and by its imaginary ones."""
    if isinstance(given, list | tuple):
        found = [split(sheet, one) for one in given]
        kind = type(given)
        return kind(re for re, _ in found), kind(im for _, im in found)
    re, im = pair_of(sheet, given)
    shape = tuple(map(int, np.shape(re if im is None else im)))
    zeros: Any = np.zeros(shape) if shape else 0.0
    return (zeros if re is None else re), (zeros if im is None else im)


def _real_dtype(parts: Sequence[Any]) -> np.dtype[Any]:
    """The dtype of the parts of a complex array that is made of these."""
    kinds = [p.dtype if hasattr(p, "dtype") else type(p) for p in parts]
    strong = [kind for kind in kinds if isinstance(kind, np.dtype)] or [np.dtype(float)]
    return np.zeros(0, np.result_type(*strong, np.complex64)).real.dtype


# --------------------------------------------------------------------------------------------------
# Calls


@contextmanager
def _composing(
    sheet: Sheet, name: str = "", args: Sequence[Any] = (), options: Mapping[str, Any] = {}
) -> Iterator[None]:
    """The time in which a complex operation is made up of real ones."""
    sheet.stand_here()
    try:
        with sheet.composing():
            yield
    except PullbackError:
        raise
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise numpys_refusal(sheet, name, error, args, options) from error


def _named(sheet: Sheet, found: Any) -> Any:
    """What was found, under the user's name for it."""
    name = "" if sheet.composes else here().name
    if not name:
        return found
    parts = (
        [(found.re, f"{name}_real"), (found.im, f"{name}_imag")]
        if (type(found) is Complex)
        else [(found, name)]
    )
    for part, wish in parts:
        if isinstance(part, Tracer) and part._pullback_plain is None:
            sheet.name(part._pullback_value.tensor, wish)
    return found


def _current(sheet: Sheet) -> Sheet:
    return running() or sheet


def called_ufunc(
    sheet: Sheet, ufunc: Any, method: str, inputs: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """What a ufunc makes of arrays of which one is complex."""
    sheet = _current(sheet)
    left = {key: given for key, given in options.items() if given is not None}
    out = left.pop("out", None)
    left = {k: v for k, v in left.items() if not (k == "where" and v is True)}
    dtype = left.pop("dtype", None)
    name = public_name(ufunc)
    if method == "reduce" and ufunc in REDUCED:
        return REDUCED[ufunc](*inputs, **{"axis": 0, **left})
    if method == "outer" and not left:
        first, second = inputs
        wide = np.reshape(first, (*np.shape(first), *(1,) * np.ndim(second)))
        return ufunc(wide, second)
    if method != "__call__" or left or (ufunc.__name__ not in UFUNCS):
        shown = name if method == "__call__" else f"{name}.{method}"
        raise sheet.refusal(
            f"{shown} of complex arrays can't be traced"
            + (f" with {', '.join(left)}" if left else ""),
            hint=HINT,
        )
    with _composing(sheet, name, inputs):
        found = UFUNCS[ufunc.__name__](*(pair_of(sheet, one) for one in inputs))
        if isinstance(found, tuple):
            found = array(sheet, found, inputs)
            found = found if dtype is None else found.astype(dtype)
    if out is None:
        if ufunc is np.absolute and isinstance(found, Tracer) and not isinstance(found, Made):
            now = [None if p is None else p.copy() for p in pair_of(sheet, inputs[0])]
            found._square = partial(_squared, sheet, (now[0], now[1]))
        return _named(sheet, found)
    return _into(sheet, out[0], found)


def _squared(sheet: Sheet, pair: Pair) -> Any:
    with _composing(sheet):
        found = pairs.square_of(pair)
    return _named(sheet, found)


def _into(sheet: Sheet, target: Any, found: Any) -> Any:
    """``z *= w``: the target holds the new value from then on."""
    if not isinstance(target, Complex):
        if isinstance(target, Tracer) and type(found) is not Complex:
            target[...] = found
            return target
        raise sheet.refusal(
            "a complex value can't be put into an array of another dtype",
            hint="make the array with np.zeros(..., dtype=complex)",
            kind=TraceTypeError,
        )
    if not target.ndim:
        return found
    target[...] = found
    return target


def called_function(
    sheet: Sheet, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """What a NumPy function makes of arrays of which one is complex, or gives one."""
    from .complex_table import FUNCTIONS

    sheet = _current(sheet)
    options = {k: v for k, v in options.items() if v is not np._NoValue}
    known = FUNCTIONS.get(function)
    if known is None:
        plain = _plain((args, options))
        if plain is not None:
            return wrapped(sheet, function(*plain[0], **plain[1]))
        raise sheet.refusal(f"{public_name(function)} of complex arrays can't be traced", hint=HINT)
    with _composing(sheet, public_name(function), args, options):
        found = known(sheet, *args, **options)
    return _named(sheet, found)


def wrapped(sheet: Sheet, found: Any) -> Any:
    """A result of NumPy's on numbers, as an array that may take in traced values."""
    if isinstance(found, np.ndarray) and found.dtype.kind == "c":
        return Complex(sheet, made(sheet, found.real.copy()), made(sheet, found.imag.copy()))
    return made(sheet, found) if isinstance(found, np.ndarray) else found


def _plain(given: Any) -> Any:
    """Values with arrays of numbers in place of those that are known so far, None where one isn't
    known."""
    if isinstance(given, dict):
        values = _plain(list(given.values()))
        return None if values is None else dict(zip(given, values, strict=True))
    if isinstance(given, list | tuple):
        parts = [_plain(one) for one in given]
        lost = any(p is None and one is not None for p, one in zip(parts, given, strict=True))
        return None if lost else type(given)(parts)
    return given._pullback_plain if isinstance(given, Tracer | Complex) else given


REDUCED: dict[Any, Any] = {np.add: np.sum, np.multiply: np.prod}
UFUNCS: dict[str, Callable[..., Any]] = pairs.UFUNCS

"""Arrays that a traced function makes: numbers at first, traced from the first such store on.

``np.zeros(3)`` holds numbers, and the function may do with them what it likes: decide by them,
index with them, store numbers into them. Until a traced value is stored, all that is NumPy's own
work, on memory of its own. With that store, the array and all its views are traced arrays, whose
elements were those numbers.
"""

from __future__ import annotations

import operator
import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from .extents import plain
from .memory import Affine, Memory, Reshape, Step, affine_in
from .operations import Tracer, complexes
from .places import here
from .record import Sheet
from .values import Value

Data = np.ndarray[Any, Any]


def made(sheet: Sheet, array: Data, wish: str = "", *, ordered: bool | None = None) -> Any:
    """An array of numbers that may take in traced values."""
    if type(array) is np.ndarray and array.dtype.kind == "c":
        return complexes().wrapped(sheet, array)
    if type(array) is not np.ndarray or array.dtype.kind not in "fiub":
        return array
    memory = Memory(sheet, None, ordered=array.flags.c_contiguous if ordered is None else ordered)
    memory.wish = wish
    if array.base is not None or not array.flags.writeable:
        array = array.copy()
    memory.data = array
    return Made(sheet, array, memory, None)


class Made(Tracer):
    """An array of numbers, and a traced one from the first store of a traced value on."""

    __slots__ = ("_held", "_outer")

    def __init__(self, sheet: Sheet, held: Data, memory: Memory, outer: Made | None) -> None:
        self._pullback_sheet = sheet
        self._memory = memory
        self._held = held
        self._outer = outer
        self._viewed = None
        self._seen = -1
        self._value = Value(held.shape, held.dtype, _nothing, ("",) * held.ndim)
        memory.views.append(weakref.ref(self))

    @property
    def _pullback_plain(self) -> Any:
        return None if self._memory.data is None else self._held

    @property
    def _pullback_value(self) -> Value:
        if self._memory.data is not None:
            return self._pullback_sheet.value(self._held)
        return Tracer._pullback_value.fget(self)  # type: ignore[attr-defined,no-any-return]

    def _steps(self) -> tuple[Step, ...]:
        root = self._root
        alike = root.size and self._held.size and self._held.dtype == root.dtype
        own = affine_in(root, self._held) if alike else None
        if own is not None:
            return (own,)
        if not self._held.size:
            along = tuple((0, 0, -1) for _ in root.shape)
            return (Affine(along, self._held.shape),)
        outer = self._outer
        if outer is not None and alike and _reshaped(outer._held, self._held):
            return (*outer._steps(), Reshape(self._held.shape))
        raise self._pullback_sheet.refusal(
            "this view of an array that was changed can't be traced",
            hint="write .copy() where it is made",
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents, which may be set while the array holds numbers."""
        return Tracer.shape.fget(self)  # type: ignore[attr-defined,no-any-return]

    @shape.setter
    def shape(self, extents: Any) -> None:
        if self._pullback_plain is None:
            raise self._refused("setting a shape", hint="write y = y.reshape(...)")
        held = np.reshape(self._held, plain(extents), copy=False)
        before = Made(self._pullback_sheet, self._held, self._memory, self._outer)
        self._held, self._outer = held, before
        self._value = Value(held.shape, held.dtype, _nothing, ("",) * held.ndim)

    @property
    def _root(self) -> Data:
        first = self._held
        while isinstance(first.base, np.ndarray):
            first = first.base
        return first

    def _become_traced(self) -> None:
        """From here on the array and its views are traced."""
        memory = self._memory
        data = memory.data
        if data is None:
            return
        live = [view for view in (ref() for ref in memory.views) if view is not None]
        known = sum(1 for view in live if view._held is data or view._held.base is data)
        # memory.data, the local variable and the argument of the call count, too
        if sys.getrefcount(data) > known + 3:
            raise self._pullback_sheet.refusal(
                "a traced value is stored into an array that something else looks at, too",
                hint="keep views of it by slices, transposes and reshapes only",
            )
        memory.begin(self._pullback_sheet.value(data.copy()))
        memory.version += 1
        for view in live:
            view._value = Value(view._held.shape, view._held.dtype, _nothing, view._value.axes)

    # What NumPy does with numbers

    def _by_numpy(self, function: Callable[..., Any], args: Any, options: Any) -> Any:
        """NumPy's own result for arrays of numbers, or NotImplemented."""
        if _traced_in(args) or _traced_in(options):
            return NotImplemented
        given, named = plain(args), plain(options)
        found = function(*given, **named)
        return _wrapped(self._pullback_sheet, found, [*_made_in(args), *_made_in(options)])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        found = self._by_numpy(getattr(ufunc, method), inputs, options)
        if found is NotImplemented:
            _ready(options.get("out"), ufunc, method, inputs)
            return super().__array_ufunc__(ufunc, method, *inputs, **options)
        return found

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        def numpys(*given: Any, **named: Any) -> Any:
            return function(*given, **named)

        found = self._by_numpy(numpys, args, options)
        if found is NotImplemented:
            _ready(options.get("out"))
            from .changes import CHANGES

            if function in CHANGES and args:
                _ready(args[0])
            return super().__array_function__(function, types, args, options)
        return found

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        held = self._pullback_plain
        if held is None:
            return super().__array__(dtype, copy)
        if dtype is not None and np.dtype(dtype) != held.dtype:
            return held.astype(dtype)
        return held.copy() if copy else held

    def __getitem__(self, key: Any) -> Any:
        held = self._pullback_plain
        if held is not None and not _traced_in((key,)):
            return _wrapped(self._pullback_sheet, held[plain(key)], [self])
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._pullback_plain is not None and not _traced_in((key, value)):
            self._held[plain(key)] = plain(value)
            return
        self._become_traced()
        super().__setitem__(key, value)

    def __iter__(self) -> Any:
        return iter([self[k] for k in range(len(self))])

    def __repr__(self) -> str:
        held = self._pullback_plain
        return super().__repr__() if held is None else repr(held)

    def __contains__(self, item: Any) -> Any:
        held = self._pullback_plain
        if held is None:
            super().__contains__(item)
        return item in held

    def __format__(self, spec: str) -> str:
        held = self._pullback_plain
        return super().__format__(spec) if held is None else format(held, spec)

    def __getattr__(self, name: str) -> Any:
        held = None if name.startswith("__") else self._pullback_plain
        if held is None or not hasattr(held, name):
            return super().__getattr__(name)
        found = getattr(held, name)
        if not callable(found):
            return _wrapped(self._pullback_sheet, found, [self])

        def method(*args: Any, **options: Any) -> Any:
            result = found(*plain(args), **plain(options))
            return _wrapped(self._pullback_sheet, result, [self])

        return method

    def copy(self, order: str = "C") -> Any:
        """The same elements in memory of their own."""
        held = self._pullback_plain
        return super().copy(order) if held is None else made(self._pullback_sheet, held.copy())

    def astype(self, dtype: Any, *args: Any, **options: Any) -> Any:
        """The same numbers as another dtype."""
        held = self._pullback_plain
        if held is None:
            return super().astype(dtype, *args, **options)
        found = held.astype(dtype, *args, **options)
        return self if found is held else _wrapped(self._pullback_sheet, found, [self])


def _number(name: str) -> Any:
    def method(self: Made) -> Any:
        held = self._pullback_plain
        if held is None:
            return getattr(super(Made, self), name)()
        return operator.index(held) if name == "__index__" else getattr(held, name)()

    method.__name__ = name
    return method


for _name in ("__bool__", "__float__", "__int__", "__index__", "__complex__"):
    setattr(Made, _name, _number(_name))


def _nothing(subs: Any) -> Any:
    raise AssertionError("the elements are found by the memory")


def _reshaped(outer: Data, inner: Data) -> bool:
    """Whether an array has the elements of another one, row by row, in another shape."""
    same = outer.__array_interface__["data"][0] == inner.__array_interface__["data"][0]
    return (
        same and outer.size == inner.size and outer.flags.c_contiguous and inner.flags.c_contiguous
    )


def _traced_in(given: Any) -> bool:
    """Whether a traced array is among values, or in lists of them."""
    kind = type(given)
    if kind is dict:
        return any(map(_traced_in, given.values()))
    if kind in (tuple, list):
        return any(map(_traced_in, given))
    return hasattr(kind, "_pullback_plain") and given._pullback_plain is None


def _made_in(given: Any) -> list[Made]:
    if isinstance(given, dict):
        return _made_in(list(given.values()))
    if isinstance(given, list | tuple):
        return [one for part in given for one in _made_in(part)]
    return [given] if isinstance(given, Made) else []


def _ready(out: Any, ufunc: Any = None, method: str = "", inputs: Any = ()) -> None:
    """Arrays that take in traced values are traced from here on."""
    if method == "at" and inputs:
        out = inputs[0]
    for one in out if isinstance(out, tuple) else (out,):
        if isinstance(one, Made):
            one._become_traced()


def _wrapped(sheet: Sheet, found: Any, given: list[Made]) -> Any:
    """A result of NumPy's: its arrays can take in traced values, and know whose views they are."""
    if isinstance(found, tuple | list):
        parts = [_wrapped(sheet, part, given) for part in found]
        return found._make(parts) if hasattr(found, "_make") else type(found)(parts)
    if type(found) is not np.ndarray:
        return found
    for one in given:
        if found is one._held:
            return one
    root: Any = found
    while isinstance(root.base, np.ndarray):
        root = root.base
    for one in given:
        if root is one._memory.data:
            return Made(one._pullback_sheet, found, one._memory, one)
    if found.base is not None or not found.flags.writeable:
        return found
    return made(sheet, found, here().name)

"""What was seen around a function, and whether it is still there.

A node stands for an object that a function reads; it knows how to tell whether another object is
the same. Nodes are made by :mod:`.captured`.
"""

from __future__ import annotations

import struct
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .bytecode import Chain as ChainNames
from .pure import PACKAGE

MISSING = type("Missing", (), {"__slots__": ()})()
_ERRORS = vars(sys.modules.get("numpy._core.umath", np)).get("_extobj_contextvar")


class Surroundings:
    """All that a function reads besides its arguments, as it was.

    ``hidden`` is the number of arrays that are inputs: their content may be another one.
    """

    def __init__(self, roots: Sequence[Node], world: World) -> None:
        self.roots = roots
        self.world = world
        self.hidden = 0

    def hold(self, function: Callable[..., Any], also: Sequence[Any] = ()) -> bool:
        """Whether all of it is the same for this function now."""
        return self.held(function, also) is not None

    def held(self, function: Callable[..., Any], also: Sequence[Any] = ()) -> list[Any] | None:
        """The hidden inputs as they are now; None where anything else isn't the same."""
        if len(also) + 1 != len(self.roots) or not self.world.holds():
            return None
        now = Now(self.hidden)
        try:
            if not now.holds(self.roots[0], function):
                return None
            if also and not all(map(now.holds, self.roots[1:], also)):
                return None
        except Exception:  # whatever can't be read now was read before
            return None
        return now.hidden

    def hide(self, arrays: Sequence[Content]) -> None:
        """Makes inputs of these arrays, in this order: their content is no longer compared."""
        self.hidden = len(arrays)
        for place, node in enumerate(arrays):
            node.hide(place)


# --------------------------------------------------------------------------------------------------
# Comparing


class Now:
    """A comparison under way: which object stands for which one that was seen before."""

    __slots__ = ("hidden", "known")

    def __init__(self, hidden: int) -> None:
        self.known: dict[int | Node, Node] = {}  # by the object's id, and the nodes themselves
        self.hidden: list[Any] = [None] * hidden  # what stands for the hidden inputs

    def holds(self, node: Node, value: Any) -> bool:
        """Whether a value is what it was; the same object wherever it was the same one."""
        if not node.tracked:
            return node.test(value, self)
        known = self.known
        found = known.get(id(value))
        if found is not None:
            return found is node
        if node in known:
            return False
        known[id(value)] = known[node] = node
        return node.test(value, self)


class Node:
    """Something that was seen."""

    __slots__ = ()
    tracked = True  # whether it matters which object it is, as for all that can be changed

    def test(self, value: Any, now: Now) -> bool:
        """Whether ``value`` is the same."""
        raise NotImplementedError


class Same(Node):
    """One object, known by identity: a code object, a module, a function written in C."""

    __slots__ = ("expected",)
    tracked = False

    def __init__(self, expected: Any) -> None:
        self.expected = expected

    def test(self, value: Any, now: Now) -> bool:
        return value is self.expected


class Atom(Node):
    """A value that can't change: of the same type, and equal."""

    __slots__ = ("expected", "kind")
    tracked = False

    def __init__(self, expected: Any) -> None:
        self.kind = type(expected)
        self.expected = _exact(expected)

    def test(self, value: Any, now: Now) -> bool:
        if type(value) is not self.kind:
            return False
        exact = _EXACT.get(self.kind, _exact)(value)
        return exact is self.expected or bool(exact == self.expected)


_EXACT: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys((int, str, bool, bytes, type(None)), lambda value: value),
    float: struct.Struct("d").pack,
}


def _exact(value: Any) -> Any:
    """What tells values of one type apart, bit by bit: -0.0 from 0.0, one NaN from another."""
    match value:
        case float():
            return struct.pack("d", value)
        case complex():
            return struct.pack("dd", value.real, value.imag)
        case np.generic():
            return value.dtype, value.tobytes()
        case range():
            return value.start, value.stop, value.step
        case Fraction():
            return value.numerator, value.denominator
        case _:
            return value


class Content(Node):
    """An array: a copy, to see later whether its content changed, or a hidden input.

    Where it is an input, ``place`` says which one, and no copy is kept.
    """

    __slots__ = ("array", "bits", "dtype", "kind", "layout", "place", "shape", "strides")

    def __init__(self, given: np.ndarray[Any, Any]) -> None:
        self.kind = type(given)
        self.shape, self.dtype, self.strides = given.shape, given.dtype, given.strides
        self.layout: tuple[Any, ...] | None = None
        self.place = -1

    def keep(self, given: np.ndarray[Any, Any]) -> None:
        """Copies the array, once all that the function reads is known to be comparable."""
        self.array: Any = np.array(given, order="C", copy=True, subok=False)
        self.bits = self.array.view(_bits(self.array.dtype)) if self.array.shape else None

    def hide(self, place: int) -> None:
        """Makes an input of it."""
        self.place = place
        self.array = self.bits = None

    def test(self, value: Any, now: Now) -> bool:
        if type(value) is not self.kind or value.shape != self.shape or value.dtype != self.dtype:
            return False
        if self.layout is not None and self.layout != layout_of(value):
            return False
        if self.place >= 0:
            now.hidden[self.place] = value
            return True
        mine = self.array
        if value.strides != self.strides:  # what order="K" goes by
            return False
        if self.bits is not None and value.flags.c_contiguous:
            return bool((value.view(self.bits.dtype) == self.bits).all())
        return bool(value.tobytes() == mine.tobytes())


def layout_of(value: np.ndarray[Any, Any]) -> tuple[Any, ...]:
    """How an array lies in memory."""
    return value.strides, value.flags.num


def _bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """An integer dtype of the same width: contents are compared bit by bit, NaN equal to itself."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.itemsize in (1, 2, 4, 8) else np.dtype("u1")


class Parts(Node):
    """An object of one type with parts, as ``take`` lists them."""

    __slots__ = ("kind", "parts", "take")

    def __init__(self, kind: type, take: Callable[[Any], Sequence[Any]]) -> None:
        self.kind = kind
        self.take = take
        self.parts: list[Node] = []

    def test(self, value: Any, now: Now) -> bool:
        if type(value) is not self.kind:
            return False
        found = self.take(value)
        return len(found) == len(self.parts) and all(map(now.holds, self.parts, found))


class Items(Node):
    """A dict: its keys in their order, and what is held."""

    __slots__ = ("keys", "kind", "names", "parts")

    def __init__(self, kind: Any, names: list[str] | None) -> None:
        self.kind = kind
        self.names = names  # where all keys are plain strings
        self.keys: list[Node] = []
        self.parts: list[Node] = []

    def test(self, value: Any, now: Now) -> bool:
        if type(value) is not self.kind or len(value) != len(self.parts):
            return False
        if self.names is None:
            if not all(map(now.holds, self.keys, value)):
                return False
        elif [*value] != self.names or any(type(key) is not str for key in value):
            return False
        return all(map(now.holds, self.parts, value.values()))


class Function(Node):
    """A Python function: code, defaults, the closure, the globals that it reads by name."""

    __slots__ = ("cells", "chains", "code", "defaults", "direct", "entries", "title")

    def __init__(self, code: types.CodeType) -> None:
        self.code = code
        self.direct: tuple[list[_Direct], list[Chain]] | None = None
        self.title: tuple[str, str] | None = None
        self.defaults: list[Node] = []
        self.cells: list[tuple[int, Chain]] = []
        self.chains: list[Chain] = []
        self.entries = Names()

    def test(self, value: Any, now: Now) -> bool:
        if type(value) is not types.FunctionType or value.__code__ is not self.code:
            return False
        if self.defaults or value.__defaults__ or value.__kwdefaults__:
            given = defaults_of(value)
            if len(given) != len(self.defaults) or not all(map(now.holds, self.defaults, given)):
                return False
        if self.chains and not self.reads_same(value, now):
            return False
        if self.cells:
            closure = value.__closure__ or ()
            for n, chain in self.cells:
                found = content(closure[n])
                held = chain.holds(found, now) if chain.modules else now.holds(chain.last, found)
                if not held:
                    return False
        if self.title is not None and self.title != title_of(value):
            return False
        own = value.__dict__
        return not (own or self.entries.parts) or self.entries.hold(own, now)

    def reads_same(self, value: types.FunctionType, now: Now) -> bool:
        """Whether the globals that the function names are the same."""
        space = value.__globals__
        if self.direct is None:
            self.direct = _split(self.chains)
        direct, left = self.direct
        for name, module, attribute, expected, chain in direct:
            if space.get(name) is not module or module.__dict__.get(attribute) is not expected:
                left = [*left, chain]
        if not left:
            return True
        builtins = builtins_of(value)
        return all(chain.holds(looked_up(chain.names[0], space, builtins), now) for chain in left)


class Chain:
    """A name and the attributes that are looked up in modules after it."""

    __slots__ = ("last", "modules", "names")

    def __init__(self, names: ChainNames, modules: list[types.ModuleType], last: Node) -> None:
        self.names = names
        self.modules = modules
        self.last = last

    def holds(self, value: Any, now: Now) -> bool:
        """Whether the chain leads through the same modules to the same value."""
        if not self.modules:
            return now.holds(self.last, value)
        for module, name in zip(self.modules, self.names[1:], strict=False):
            if value is not module:
                return False
            value = in_module(module, name)
        return now.holds(self.last, value)


# A global that is a module, an attribute of it and what that is, to be compared without a call.
_Direct = tuple[str, types.ModuleType, str, Any, Chain]


def _split(chains: Sequence[Chain]) -> tuple[list[_Direct], list[Chain]]:
    """The chains such as ``np.exp``, from one module to one object that is known by identity; and
    the others."""
    direct: list[_Direct] = []
    others: list[Chain] = []
    for chain in chains:
        if type(chain) is Chain and len(chain.modules) == 1 and type(chain.last) is Same:
            name, attribute, *_ = chain.names
            direct.append((name, chain.modules[0], attribute, chain.last.expected, chain))
        else:
            others.append(chain)
    return direct, others


class Names:
    """The entries of a namespace that the function may read by name."""

    __slots__ = ("names", "parts")

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()  # those that are read; others don't matter
        self.parts: dict[str, Node] = {}

    def hold(self, space: dict[str, Any], now: Now) -> bool:
        """Whether the entries are the same, and no others are read."""
        if not space:
            return not self.parts
        if len([name for name in space if name in self.names]) != len(self.parts):
            return False
        return all(
            name in space and now.holds(node, space[name]) for name, node in self.parts.items()
        )


class Class(Node):
    """A class: the attributes that may be read, in it and in its bases."""

    __slots__ = ("bases", "constructs", "expected", "mro", "title", "walked")
    tracked = False

    def __init__(self, expected: type) -> None:
        self.expected = expected
        self.mro = expected.__mro__
        self.title: tuple[str, str] | None = None
        self.walked = False
        self.constructs = False
        self.bases: list[tuple[type, frozenset[str], dict[str, Node]]] = []

    def test(self, value: Any, now: Now) -> bool:
        if value is not self.expected or value.__mro__ is not self.mro:
            return False
        if self in now.known:
            return True
        now.known[self] = self
        if self.title is not None and self.title != title_of(value):
            return False
        for base, names, parts in self.bases:
            space = base.__dict__
            if space.keys() != names:
                return False
            for name, node in parts.items():
                if not now.holds(node, space[name]):
                    return False
        return True


class Instance(Node):
    """An object of a class written in Python: its class, and the attributes that may be read."""

    __slots__ = ("entries", "items", "kind", "slots")

    def __init__(self, kind: Class) -> None:
        self.kind = kind
        self.entries = Names()
        self.slots: list[tuple[Any, Node]] = []
        self.items: list[Node] | None = None  # of a named tuple

    def test(self, value: Any, now: Now) -> bool:
        if not self.kind.test(type(value), now):
            return False
        if self.items is not None:
            found = tuple.__iter__(value)
            if tuple.__len__(value) != len(self.items) or not all(
                map(now.holds, self.items, found)
            ):
                return False
        for slot, node in self.slots:
            if not now.holds(node, in_slot(slot, value)):
                return False
        return self.entries.hold(own_attributes(value), now)


class World:
    """The settings of the process that some functions depend on."""

    __slots__ = ("errors", "read", "state")

    def __init__(self, settings: Iterable[Callable[[], Any]]) -> None:
        self.state = _state()
        self.errors = (
            np.geterr(),
            np.geterrcall(),
        )  # how a division by zero or an overflow is treated
        self.read = [(read, read()) for read in settings]

    def holds(self) -> bool:
        """Whether the settings are the same."""
        if self.state is not _state() and self.errors != (np.geterr(), np.geterrcall()):
            return False
        return not self.read or all(read() == then for read, then in self.read)


def _state() -> Any:
    """The object that holds NumPy's error state: quick to compare. A new one if unknown."""
    return object() if _ERRORS is None else _ERRORS.get(None)


class Imported(Chain):
    """A chain that starts at a module which the function imports itself."""

    __slots__ = ("module",)

    def __init__(self, chain: Chain, module: str) -> None:
        super().__init__(("", *chain.names[1:]), chain.modules, chain.last)
        self.module = module

    def holds(self, value: Any, now: Now) -> bool:
        return super().holds(sys.modules.get(self.module), now)


# --------------------------------------------------------------------------------------------------
# Reading without running anything of the user's


def looked_up(name: str, space: dict[str, Any], builtins: dict[str, Any]) -> Any:
    """A global variable, or what is built in."""
    found = space.get(name, MISSING)
    return builtins.get(name, MISSING) if found is MISSING else found


def builtins_of(function: Any) -> dict[str, Any]:
    """What a function finds where its module has no variable of a name."""
    builtins: dict[str, Any] = function.__builtins__
    return builtins


def title_of(value: Any) -> tuple[str, str]:
    """What a function or a class is called."""
    return value.__name__, value.__qualname__


def in_module(module: types.ModuleType, name: str) -> Any:
    """An attribute of a module; computed ones count in this package only."""
    found = module.__dict__.get(name, MISSING)
    if found is MISSING and str(getattr(module, "__file__", "")).startswith(PACKAGE):
        return getattr(module, name, MISSING)
    return found


def content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return MISSING


def defaults_of(function: types.FunctionType) -> Sequence[Any]:
    named = function.__kwdefaults__
    given = function.__defaults__ or ()
    return (*given, *named, *named.values()) if named else given


def in_slot(slot: Any, value: Any) -> Any:
    try:
        return slot.__get__(value, type(value))
    except AttributeError:  # not filled yet
        return MISSING


def own_attributes(value: Any) -> dict[str, Any]:
    """An object's own attributes."""
    try:
        found: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found

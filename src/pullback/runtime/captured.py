"""What a function reads besides its arguments: closure, defaults, globals, the functions that it
calls.

A trace is good for as long as these stay the same. :func:`captured` looks at all that a function
can reach and keeps it, arrays as copies; :meth:`Surroundings.hold` compares later. What is reached
is of a few kinds, which can be compared, and everything that is called is Python code, which is
looked at in turn, or stands in the tables of :mod:`.pure`. A function that reaches anything else
has no such list, and is traced anew at each call. ``docs/caching.md`` states the rule.
"""

from __future__ import annotations

import abc
import array
import dataclasses
import enum
import functools
import reprlib
import struct
import sys
import types
import typing
import warnings
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..ir.program import Program
from ..trace.operations import Tracer
from . import surroundings as seen
from .bytecode import Chain, Reads, reads_of
from .pure import HIDDEN, LAYOUT, PACKAGE, is_abstract, is_ours, is_pure, known_attributes

MAX_NODES = 2_000
ENDLESS = float("inf")
MAX_BYTES = 1 << 26  # of larger arrays no copy is kept: they are inputs, or it is traced anew


class _Unlisted(Exception):
    """The function may read something that can't be compared; the text says what."""


@dataclasses.dataclass(frozen=True)
class Look:
    """All that a function reads, and the ``objects`` that its nodes stand for, while it is traced.

    ``by_type`` is set where the function may tell an array from a traced one, ``ours`` where
    functions and objects of this package are among what it reads.
    """

    surroundings: seen.Surroundings
    objects: dict[seen.Node, Any]
    by_type: bool
    ours: bool


def captured(function: Callable[..., Any], also: Sequence[Any] = ()) -> seen.Surroundings | None:
    """All that ``function`` reads besides its arguments, or None where that can't be compared.

    ``also`` are the classes and functions among the arguments, which it may call.
    """
    found = look(function, also)
    return None if found is None else found.surroundings


def look(
    function: Callable[..., Any], also: Sequence[Any] = (), most_bytes: float = ENDLESS
) -> Look | None:
    """Like :func:`captured`, with the objects that were found; None at larger arrays, too."""
    try:
        return _listed(function, also, most_bytes)
    except Exception:  # an attribute of the user's that fails while being listed
        return None


def reason(function: Callable[..., Any], also: Sequence[Any] = ()) -> str:
    """Why a function is traced at each call; "" where it isn't.

    >>> reason(lambda x: x * np.random.rand(3))
    "it reads rand, which isn't known to depend on its arguments only"
    """
    try:
        _listed(function, also)
    except _Unlisted as error:
        return str(error)
    except Exception as error:
        return f"looking at what it reads fails: {type(error).__name__}: {error}"
    return ""


def _listed(function: Callable[..., Any], also: Sequence[Any], most_bytes: float = ENDLESS) -> Look:
    walk = _Walk()
    walk.most_bytes = most_bytes
    roots = [walk.visit(item) for item in (function, *also)]
    walk.finish()
    objects = dict(walk.nodes.values())
    surroundings = seen.Surroundings(roots, seen.World(walk.settings))
    return Look(surroundings, objects, walk.by_type or walk.asks_for_type(), walk.ours)


def _filters() -> Any:
    return [*warnings.filters]


# --------------------------------------------------------------------------------------------------
# Looking


class _Walk:
    """Looks at a function and at all that it reaches."""

    def __init__(self) -> None:
        self.nodes: dict[
            int, tuple[seen.Node, Any]
        ] = {}  # the objects stay alive, and so their ids
        self.names: dict[str, None] = dict.fromkeys(_BY_LIBRARIES)  # that something looks up
        self.asked: dict[str, None] = {}  # those that the user's code looks up
        self.defined: dict[str, None] = {}
        self.settings: dict[Callable[[], Any], None] = {}
        self.count = 0
        self.most_bytes: float = ENDLESS  # of an array
        self.constructs = False
        self.stores = False  # whether some code sets attributes
        self.stored: dict[str, None] = {}
        self.by_type = False  # whether some code may tell an array from a traced one
        self.ours = False  # whether code of this package is reached
        self.arrays: list[tuple[seen.Content, np.ndarray[Any, Any]]] = []
        self.open: list[Callable[[frozenset[str]], None]] = []

    def finish(self) -> None:
        """Looks at attributes by name until no code is found that reads further names."""
        before: tuple[object, ...] = ()
        while before != (state := self.state()):
            before = state
            names = frozenset(self.names)
            for look in list(self.open):
                look(names)
        for name in self.asked:
            own = name in self.defined and not _is_special(name)
            if name in HIDDEN or not (own or name in LAYOUT or name in known_attributes()):
                raise _Unlisted(f"it reads an attribute {name}")
        for node, given in self.arrays:
            if "base" in self.asked and given.base is not None:
                raise _Unlisted("it reads what lies behind a view")
            node.layout = seen.layout_of(given) if LAYOUT & self.asked.keys() else None
            node.keep(given)

    def state(self) -> tuple[object, ...]:
        """What decides which attributes are looked at."""
        sizes = len(self.names), len(self.open), len(self.settings)
        return (*sizes, self.constructs, self.stores)

    def asks_for_type(self) -> bool:
        """Whether an attribute is read or set that tells an array from a traced one."""
        special = [name for name in self.asked if name.startswith("__")]
        return (
            any(name.startswith("__array") for name in special)
            or any(hasattr(np.ndarray, name) > hasattr(Tracer, name) for name in special)
            or any(hasattr(np.ndarray, name) for name in self.stored)
            or "__exit__" in self.defined
        )

    def same(self, value: Any) -> seen.Node:
        """The node of something that depends on its arguments only."""
        self.by_type |= any(value is one for one in _BY_TYPE)
        return seen.Same(value)

    def visit(self, value: Any) -> seen.Node:
        kind = type(value)
        self.count += 1
        if self.count > MAX_NODES:
            raise _Unlisted(f"it reaches more than {MAX_NODES} objects")
        if kind in _ATOMS:
            return seen.Atom(value)
        known = self.nodes.get(id(value))
        if known is not None:
            return known[0]
        handler = _HANDLERS.get(kind)
        if handler is not None:
            return handler(self, value)
        return self.visit_other(value)

    def enter(self, value: Any, node: seen.Node) -> Any:
        """Keeps the node of an object before its parts are looked at, which may hold it again."""
        self.nodes[id(value)] = (node, value)
        return node

    def visit_array(self, value: Any) -> seen.Node:
        if value.dtype.hasobject or value.dtype.metadata or value.nbytes > self.most_bytes:
            raise _Unlisted(f"it reads an array of dtype {value.dtype}, {value.nbytes} bytes")
        node: seen.Content = self.enter(value, seen.Content(value))
        self.arrays.append((node, value))
        return node

    def visit_parts(self, value: Any, take: Callable[[Any], Sequence[Any]]) -> seen.Node:
        node = self.enter(value, seen.Parts(type(value), take))
        node.parts = [self.visit(part) for part in take(value)]
        return node  # type: ignore[no-any-return]

    def visit_dict(self, value: Any) -> seen.Node:
        plain = all(type(key) is str for key in value)
        node = self.enter(value, seen.Items(type(value), [*value] if plain else None))
        if not plain:
            node.keys = [self.visit(key) for key in value]
        node.parts = [self.visit(part) for part in value.values()]
        return node  # type: ignore[no-any-return]

    # Functions

    def visit_function(self, value: types.FunctionType) -> seen.Node:
        if is_pure(value) or value.__code__.co_filename == enum.__file__:
            return self.same(value)
        node = self.enter(value, seen.Function(value.__code__))
        ours = is_ours(value)
        self.ours |= ours
        made = False
        if ours:
            reads = Reads(cells={(name,): None for name in value.__code__.co_freevars})
        else:
            reads = reads_of(value.__code__)
            self.read(reads)
            made = _made_by_dataclass(value.__code__)
            self.by_type |= ("__class__" in reads.attributes and not made) or reads.handles
        node.defaults = [self.visit(part) for part in seen.defaults_of(value)]
        free = value.__code__.co_freevars
        for names in reads.cells:
            n = free.index(names[0])
            content = seen.content((value.__closure__ or ())[n])
            node.cells.append((n, self.chain(names, content)))
        builtins = seen.builtins_of(value)
        for names in reads.globals:
            found = seen.looked_up(names[0], value.__globals__, builtins)
            if found is seen.MISSING and names[0] in reads.locals:
                continue
            if found is type and made:  # asks for the class of the object itself
                self.constructs = True
                node.chains.append(seen.Chain(names, [], seen.Same(type)))
            else:
                node.chains.append(self.chain(names, found))
        for module, names in reads.imports:
            if module not in sys.modules:
                raise _Unlisted(f"it imports {module}")
            node.chains.append(seen.Imported(self.chain(("", *names), sys.modules[module]), module))
        if not ours:
            self.open.append(functools.partial(self.look_in_function, node, value))
        return node  # type: ignore[no-any-return]

    def look_in_function(
        self, node: seen.Function, value: types.FunctionType, names: frozenset[str]
    ) -> None:
        if names & _TITLES:
            node.title = seen.title_of(value)
        self.look_in(node.entries, value.__dict__, names)

    def read(self, reads: Reads) -> None:
        """Takes in what some code reads by name."""
        if not reads.listed:
            raise _Unlisted("its code changes a variable outside, or can't be followed")
        self.ask(reads.attributes)
        self.defined.update(reads.defined)
        self.stores |= reads.stores
        self.stored.update(reads.stored)
        if reads.formats:
            self.settings[np.get_printoptions] = None
        if reads.catches:
            self.settings[_filters] = None
        if reads.matches:
            self.settings[abc.get_cache_token] = None
        if "__class__" in reads.attributes or ("__class__",) in reads.cells:
            self.constructs = True

    def ask(self, names: Iterable[str]) -> None:
        """Takes in attributes that the user's code reads by name."""
        self.names.update(dict.fromkeys(names))
        self.asked.update(dict.fromkeys(names))
        if not _TEXTS.isdisjoint(names):
            self.settings[np.get_printoptions] = None

    def chain(self, names: Chain, value: Any) -> seen.Chain:
        """Follows attributes through modules; those of other objects are known by name only."""
        modules: list[types.ModuleType] = []
        rest = list(names[1:])
        while rest and type(value) is types.ModuleType:
            modules.append(value)
            value = seen.in_module(value, rest.pop(0))
        if value is seen.MISSING:
            raise _Unlisted(f"it reads {'.'.join(names)}, which is computed or isn't there")
        self.ask(rest)
        return seen.Chain(names, modules, self.visit(value))

    def visit_namespace(self, value: types.SimpleNamespace) -> seen.Node:
        self.defined.update(dict.fromkeys(vars(value)))
        return self.visit_parts(value, lambda one: (vars(one),))

    # Classes and their objects

    def visit_class(self, value: type, constructs: bool) -> seen.Class:
        known = self.nodes.get(id(value))
        if known is None:
            if type(value) not in _METACLASSES:
                raise _Unlisted(f"it reads the class {value.__name__}, which has a metaclass")
            if type(value) is not type:
                self.settings[abc.get_cache_token] = None
            node: seen.Class = self.enter(value, seen.Class(value))
            self.open.append(functools.partial(self.look_in_class, node))
        else:
            assert isinstance(known[0], seen.Class)
            node = known[0]
        node.constructs |= constructs
        if not node.walked:
            node.walked = True
            for base in value.__mro__:
                if base in _BASES or is_abstract(base):
                    continue
                if _is_ours(base):
                    raise _Unlisted(f"it reads {base.__name__}, or a class made of it")
                node.bases.append((base, frozenset(vars(base)), {}))
                self.defined.update(dict.fromkeys(vars(base)))
            if dataclasses.is_dataclass(value):
                fields = dict.fromkeys(f.name for f in dataclasses.fields(value))
                self.names.update(fields)
                self.defined.update(fields)
        return node

    def look_in_class(self, node: seen.Class, names: frozenset[str]) -> None:
        constructs = node.constructs or self.constructs
        formats = np.get_printoptions in self.settings
        if names & _TITLES:
            node.title = seen.title_of(node.expected)
        for base, _, parts in node.bases:
            for name, item in list(vars(base).items()):
                if name in parts or name in _NOISE:
                    continue
                implicit = name in _BY_ENUMERATIONS or _is_special(name)
                if name in _CONSTRUCTORS:
                    implicit = constructs
                elif name in _TEXTS:
                    implicit = formats
                elif name in _STORES:
                    implicit = self.stores
                if implicit or name in names:
                    parts[name] = self.visit_item(item)

    def visit_item(self, item: Any) -> seen.Node:
        """An attribute of a class."""
        kind = type(item)
        if id(item) in self.nodes:  # two classes hold it, as those of slots=True
            return self.nodes[id(item)][0]
        self.constructs |= kind is classmethod
        if kind is types.FunctionType and item.__code__ in _REPRS:
            return self.visit_parts(item, lambda one: (one.__wrapped__,))
        take = _DESCRIPTORS.get(kind)
        if take is not None:
            return self.visit_parts(item, take)
        return seen.Same(item) if kind in _PLACES else self.visit(item)

    def visit_instance(self, value: Any) -> seen.Node:
        kind = type(value)
        is_tuple = tuple in kind.__mro__
        if not is_tuple and not _only_python(kind):
            raise _Unlisted(f"it reads {_shown(value)}")
        node = self.enter(value, seen.Instance(self.visit_class(kind, False)))
        if is_tuple:
            node.items = [self.visit(part) for part in tuple.__iter__(value)]
            self.defined.update(dict.fromkeys(getattr(kind, "_fields", ())))
        for base in kind.__mro__:
            for name, slot in vars(base).items() if base not in _BASES else ():
                if isinstance(slot, types.MemberDescriptorType) and name != "__weakref__":
                    found = seen.in_slot(slot, value)
                    node.slots.append((slot, self.visit(found)))
        self.open.append(functools.partial(self.look_in, node.entries, seen.own_attributes(value)))
        return node  # type: ignore[no-any-return]

    def look_in(self, entries: seen.Names, space: dict[str, Any], names: frozenset[str]) -> None:
        entries.names = names
        self.defined.update(dict.fromkeys(space))
        for name in list(space):
            if name in names and name not in entries.parts:
                entries.parts[name] = self.visit(space[name])

    # The rest

    def visit_other(self, value: Any) -> seen.Node:
        kind = type(value)
        if is_pure(value):
            self.constructs |= value is type or value is dataclasses.replace
            if kind is abc.ABCMeta:
                self.settings[abc.get_cache_token] = None
            elif any(value is one for one in _FORMATTING):
                self.settings[np.get_printoptions] = None
            return self.same(value)
        if isinstance(value, np.generic) and not value.dtype.hasobject:
            self.by_type |= kind is np.bool_  # there are two of them: `mask[0] is np.True_`
            return seen.Atom(value)
        if isinstance(value, np.dtype) and not value.metadata and not value.hasobject:
            return seen.Atom(value)
        if isinstance(value, enum.Enum):
            return self.visit_member(value)
        if isinstance(value, type):
            self.ours |= _is_ours(value)
            return seen.Same(value) if _is_ours(value) else self.visit_class(value, True)
        parts = vars(kind).get("_pullback_reads")
        if parts is not None and _is_ours(kind):
            self.ours = True
            return self.visit_parts(value, lambda one: [getattr(one, name) for name in parts])
        if kind is types.BuiltinMethodType and not isinstance(value.__self__, types.ModuleType):
            self.ask((value.__name__,))
            return self.visit_parts(value, lambda one: (one.__name__, one.__self__))
        if kind.__module__.split(".")[0] in _LIBRARIES:
            raise _Unlisted(f"it reads {_shown(value)}")
        return self.visit_instance(value)

    def visit_member(self, value: enum.Enum) -> seen.Node:
        """A member of an enumeration: which one, its value, the methods of its class."""
        self.names.update(dict.fromkeys(("_name_", "_value_")))  # the properties name and value
        node = self.enter(value, seen.Instance(self.visit_class(type(value), False)))
        self.open.append(functools.partial(self.look_in, node.entries, vars(value)))
        return node  # type: ignore[no-any-return]


_REPRS = tuple(
    make(lambda self: "").__code__
    for make in (vars(dataclasses).get("_recursive_repr"), reprlib.recursive_repr())
    if make is not None
)
_PLACES = (types.MemberDescriptorType, type(vars(namedtuple("_", "a"))["a"]))  # slots, fields
_DESCRIPTORS: dict[type, Callable[[Any], Sequence[Any]]] = {
    staticmethod: lambda one: (one.__func__,),
    classmethod: lambda one: (one.__func__,),
    property: lambda one: (one.fget, one.fset, one.fdel),
    enum.property: lambda one: (one.fget, one.fset, one.fdel),
    functools.cached_property: lambda one: (one.func, one.attrname),
}
_ARRAYS = (np.ndarray, np.memmap)
_FORMATTING = (str, bytes, format)
_BY_TYPE = (isinstance, issubclass, type, callable, round, np.isscalar)
_METACLASSES = (type, abc.ABCMeta, enum.EnumMeta, type(typing.Protocol))
_BASES = (
    *(object, tuple, typing.Generic, typing.Protocol, abc.ABC),
    *(enum.Enum, enum.IntEnum, enum.StrEnum, enum.Flag, enum.IntFlag, enum.ReprEnum),
)
_LIBRARIES = ("builtins", "numpy", "scipy", "random", "io", "threading", "contextvars", "weakref")
# Attributes of any object that functions written in C look up: np.sum calls a method sum, dict asks
# for keys, and so on.
_BY_LIBRARIES = (
    *("__array__", "__array_interface__", "__array_struct__", "__array_priority__"),
    *(name for name in dir(np.ndarray) if not name.startswith("_")),
    *("ptp", "keys", "items", "values", "send", "throw", "close"),
)
_BY_ENUMERATIONS = frozenset(("_member_map_", "_missing_"))
_CONSTRUCTORS_WORDS = (
    "__init__ __new__ __post_init__ __init_subclass__ __set_name__ __del__ __class_getitem__ "
    "__subclasshook__"
)
_CONSTRUCTORS = frozenset(_CONSTRUCTORS_WORDS.split())
_TITLES = frozenset(("__name__", "__qualname__"))
_STORES = frozenset(("__setattr__", "__delattr__"))
_TEXTS = frozenset(("__repr__", "__str__", "__format__"))
_NOISE_WORDS = (
    "__dict__ __weakref__ __doc__ __module__ __annotations__ __match_args__ __qualname__ "
    "__slots__ __dataclass_fields__ __dataclass_params__ __static_attributes__ __firstlineno__ "
    "__annotate__ __annotate_func__ __annotations_cache__ __orig_bases__ __parameters__ "
    "__abstractmethods__ _abc_impl __reduce__ __reduce_ex__ __getstate__ __setstate__ __copy__ "
    "__deepcopy__ __replace__ __getnewargs__ __sizeof__ __dir__ __protocol_attrs__ "
    "__non_callable_proto_members__ _member_names_ _value2member_map_ _member_type_ _new_member_ "
    "_use_args_ _value_repr_ _unhashable_values_ _hashable_values_ _generate_next_value_ "
    "__new_member__ __wrapped__"
)
_NOISE = frozenset(_NOISE_WORDS.split())
_ATOMS = frozenset(
    (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), type(NotImplemented))
) | {range, Fraction}
_HANDLERS: dict[type, Callable[[_Walk, Any], seen.Node]] = {
    **dict.fromkeys(_ARRAYS, _Walk.visit_array),
    types.FunctionType: _Walk.visit_function,
    type(seen.MISSING): lambda walk, value: seen.Same(value),
    **dict.fromkeys(
        (tuple, list, set, frozenset), lambda walk, value: walk.visit_parts(value, tuple)
    ),
    deque: lambda walk, value: walk.visit_parts(value, lambda one: (one.maxlen, *one)),
    slice: lambda walk, value: walk.visit_parts(value, lambda s: (s.start, s.stop, s.step)),
    bytearray: lambda walk, value: walk.visit_parts(value, lambda one: (bytes(one),)),
    Program: lambda walk, value: seen.Atom(value),
    array.array: lambda walk, value: walk.visit_parts(
        value, lambda one: (one.typecode, one.tobytes())
    ),
    **dict.fromkeys((dict, OrderedDict, Counter), _Walk.visit_dict),
    defaultdict: lambda walk, value: walk.visit_parts(
        value, lambda one: (one.default_factory, *one, *one.values())
    ),
    types.SimpleNamespace: _Walk.visit_namespace,
    types.MethodType: lambda walk, value: walk.visit_parts(
        value, lambda one: (one.__func__, one.__self__)
    ),
    functools.partial: lambda walk, value: walk.visit_parts(
        value, lambda one: (one.func, one.args, one.keywords)
    ),
}


def _made_by_dataclass(code: types.CodeType) -> bool:
    """Whether ``dataclass`` wrote this: it asks for the classes of its own objects only."""
    return code.co_filename == "<string>" and code.co_qualname.startswith("__create_fn__.")


def _only_python(kind: type) -> bool:
    """Whether an object's state is its ``__dict__`` and its slots, with no part written in C."""
    slots = sum(
        isinstance(item, types.MemberDescriptorType) and name != "__weakref__"
        for base in kind.__mro__
        for name, item in vars(base).items()
    )
    own = slots + (kind.__dictoffset__ > 0) + (kind.__weakrefoffset__ > 0)
    size = object.__basicsize__ + struct.calcsize("P") * own
    return kind.__basicsize__ == size and kind.__itemsize__ == 0 and kind.__base__ is not None


def _shown(value: Any) -> str:
    """A function or an object as a person says it."""
    if isinstance(value, types.ModuleType):
        return f"the module {value.__name__} as a value"
    if callable(value) and hasattr(value, "__name__"):
        return f"{value.__name__}, which isn't known to depend on its arguments only"
    return f"an object of type {type(value).__module__}.{type(value).__qualname__}"


def _is_special(name: str) -> bool:
    """Whether Python itself looks an attribute up, as ``__len__``."""
    return name[:2] == "__" == name[-2:]


def _is_ours(kind: type) -> bool:
    """Whether a class is part of this package."""
    home = sys.modules.get(kind.__module__)
    return (
        kind.__module__.split(".")[0] == "pullback"
        and str(getattr(home, "__file__", "")).startswith(PACKAGE)
        and getattr(home, kind.__name__, None) is kind
    )

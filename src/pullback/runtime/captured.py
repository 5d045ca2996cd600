"""What a function reads besides its arguments: closure, defaults, globals, the functions that it
calls.

A trace is good for as long as these stay the same. :func:`captured` lists them as *facts*;
:func:`same` compares two lists, arrays by content. A function that may read something that can't
be listed (a file, a random generator, a counter that it changes itself, ...) has no such list, and
is traced anew at each call.
"""

from __future__ import annotations

import builtins
import dis
import enum
import functools
import math
import types
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_FACTS = 2_000
MAX_BYTES = (
    1 << 26
)  # larger arrays are not copied and compared; such a function is traced anew instead

# Modules whose functions depend on their arguments only, but for the names below.
_PURE_MODULES = (
    "numpy",
    "scipy",
    "math",
    "operator",
    "functools",
    "itertools",
    "pullback",
    "jaxtyping",
)
_IMPURE_NAMES = frozenset(
    {
        *(
            "random",
            "load",
            "loadtxt",
            "genfromtxt",
            "fromfile",
            "memmap",
            "save",
            "savetxt",
            "tofile",
        ),
        *(
            "geterr",
            "seterr",
            "get_printoptions",
            "set_printoptions",
            "open",
            "os",
            "sys",
            "ctypeslib",
        ),
        *("datetime64", "lib", "DataSource", "fromregex", "empty", "empty_like", "testing", "io"),
    }
)
_PURE_BUILTINS = frozenset(
    {
        *("abs", "all", "any", "bool", "complex", "dict", "divmod", "enumerate", "filter", "float"),
        *("frozenset", "hasattr", "int", "isinstance", "issubclass", "iter", "len", "list"),
        *(
            "map",
            "max",
            "min",
            "next",
            "object",
            "pow",
            "property",
            "range",
            "repr",
            "reversed",
            "round",
        ),
        *("set", "slice", "sorted", "staticmethod", "classmethod", "str", "sum", "super"),
        *("tuple", "type", "zip", "callable", "bytes", "format", "hash", "ord", "chr"),
        *("True", "False", "None", "NotImplemented", "Ellipsis", "__build_class__"),
    }
)
_PURE_BUILTINS |= {
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
_ATOMS = (int, float, complex, bool, str, bytes, type(None), type(Ellipsis), np.dtype, slice, range)
_FIXED = (types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType, np.ufunc)


class _Unlisted(Exception):
    """The function may read something that can't be listed."""


@dataclass(frozen=True)
class _Names:
    """What a code object reads: globals, attribute names; whether it changes something outside."""

    globals: tuple[str, ...]
    attributes: frozenset[str]
    imports: tuple[str, ...]
    changes: bool


class Facts(list[Any]):
    """What a function reads, in a fixed order: atoms, kept objects and arrays."""


def captured(function: Callable[..., Any], also: tuple[Any, ...] = ()) -> Facts | None:
    """All that ``function`` reads besides its arguments, or None where that can't be listed.

    ``also`` are classes and functions among the arguments, which it may call.
    """
    walk = _Walk()
    try:
        walk.visit(function)
        for item in also:
            walk.visit(item)
    except _Unlisted:
        return None
    except Exception:  # an attribute of the user's that fails while being listed
        return None
    return walk.facts


def kept(facts: Facts) -> Facts:
    """The facts with copies of the arrays, to compare with later."""
    return Facts(_Copy(fact) if isinstance(fact, np.ndarray) else fact for fact in facts)


def same(then: Facts, now: Facts) -> bool:
    """Whether the kept facts of then still hold."""
    if len(then) != len(now):
        return False
    for old, new in zip(then, now, strict=True):
        if old is new:
            continue
        if type(old) is _Copy:
            if not old.holds(new):
                return False
        elif type(old) is not type(new) or not _equal(old, new):
            return False
    return True


def _equal(old: Any, new: Any) -> bool:
    if isinstance(old, float):
        return bool(old == new) and math.copysign(1, old) == math.copysign(1, new)
    if isinstance(old, (*_ATOMS, tuple)):
        return bool(old == new)
    if isinstance(old, np.generic):
        return bool(old.dtype == new.dtype) and old.tobytes() == new.tobytes()
    if isinstance(old, types.BuiltinFunctionType | types.MethodWrapperType):
        return bool(old == new)
    return False


class _Copy:
    """A copy of an array, to see later whether its content changed."""

    __slots__ = ("array", "bits")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = np.array(array, order="C", copy=True)
        self.bits = self.array.view(_bits(self.array.dtype))

    def holds(self, other: Any) -> bool:
        mine = self.array
        if type(other) is not np.ndarray or other.shape != mine.shape or other.dtype != mine.dtype:
            return False
        if other.flags.c_contiguous:
            return bool((other.view(self.bits.dtype) == self.bits).all())
        return other.tobytes() == mine.tobytes()


def _bits(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """An integer dtype of the same width: contents are compared bit by bit, NaN equal to itself."""
    return np.dtype(f"u{dtype.itemsize}") if dtype.itemsize in (1, 2, 4, 8) else np.dtype("u1")


class _Walk:
    """Lists the facts of a function and of all that it reads."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.seen: dict[
            int, tuple[int, Any]
        ] = {}  # by id; objects are kept so that ids stay theirs

    def visit(self, value: Any) -> None:
        facts = self.facts
        kind = type(value)
        if kind in _ATOM_TYPES:
            facts.append(value)
            return
        if id(value) in self.seen:
            facts.append(("seen", self.seen[id(value)][0]))
            return
        if len(facts) > MAX_FACTS:
            raise _Unlisted
        self.seen[id(value)] = (len(self.seen), value)
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, value)
        else:
            self.visit_other(value)

    def visit_array(self, value: np.ndarray[Any, Any]) -> None:
        if value.dtype.hasobject or value.nbytes > MAX_BYTES:
            raise _Unlisted
        self.facts.append(value)

    def visit_function(self, value: types.FunctionType) -> None:
        transform = value.__dict__.get("__pullback__")
        if transform is not None:  # grad(f) is what it asks for, and f
            self.facts.append(transform)
            self.visit(value.__dict__["__wrapped__"])
            return
        self.facts.append(value.__code__)
        if _is_pure(value) and value.__closure__ is None:
            return
        names = _names(value.__code__)
        if names.changes or any(name.split(".")[0] not in _PURE_MODULES for name in names.imports):
            raise _Unlisted
        if names.imports and names.attributes & _IMPURE_NAMES:
            raise _Unlisted
        for default in value.__defaults__ or ():
            self.visit(default)
        for name, default in (value.__kwdefaults__ or {}).items():
            self.facts.append(name)
            self.visit(default)
        for cell in value.__closure__ or ():
            self.visit(_content(cell))
        if value.__dict__:
            self.visit_dict(value.__dict__)
        self.visit_globals(value.__globals__, names)

    def visit_globals(self, space: dict[str, Any], names: _Names) -> None:
        for name in names.globals:
            if name in space:
                value = space[name]
                if type(value) is types.ModuleType:
                    self.visit_module(value, names.attributes)
                else:
                    self.visit(value)
            elif name not in _PURE_BUILTINS:
                raise _Unlisted

    def visit_module(self, value: types.ModuleType, attributes: frozenset[str]) -> None:
        self.facts.append(value)
        if value.__name__.split(".")[0] in _PURE_MODULES:
            if attributes & _IMPURE_NAMES:
                raise _Unlisted
            return
        for name in sorted(attributes & vars(value).keys()):
            inner = vars(value)[name]
            if type(inner) is types.ModuleType:
                self.visit_module(inner, attributes)
            else:
                self.visit(inner)

    def visit_sequence(self, value: Any) -> None:
        self.facts.append((type(value), len(value)))
        for item in value:
            self.visit(item)

    def visit_dict(self, value: Any) -> None:
        self.facts.append((type(value), len(value)))
        for key, item in value.items():
            self.visit(key)
            self.visit(item)

    def visit_method(self, value: types.MethodType) -> None:
        self.visit(value.__func__)
        self.visit(value.__self__)

    def visit_partial(self, value: functools.partial[Any]) -> None:
        self.facts.append(functools.partial)
        self.visit(value.func)
        self.visit(value.args)
        self.visit_dict(value.keywords)

    def visit_class(self, value: type) -> None:
        self.facts.append(value)
        for base in value.__mro__:
            if base.__module__.split(".")[0] in (
                *_PURE_MODULES,
                "builtins",
                "typing",
                "enum",
                "abc",
            ):
                continue
            if base.__module__ == "collections" or base.__module__ == "dataclasses":
                continue
            for name, item in vars(base).items():
                if name not in _CLASS_NOISE:
                    self.facts.append(name)
                    self.visit(item)

    def visit_other(self, value: Any) -> None:
        kind = type(value)
        if isinstance(value, _FIXED):
            self_ = getattr(value, "__self__", None)
            if self_ is not None and not isinstance(self_, types.ModuleType | type):
                raise _Unlisted  # a bound method of some object, e.g. of a random generator
            if _top(value) not in (*_PURE_MODULES, "builtins", "_operator", ""):
                raise _Unlisted
            if _top(value) == "builtins" and value.__name__ not in _PURE_BUILTINS:
                raise _Unlisted
            self.facts.append(value)
        elif isinstance(value, np.dtype | enum.Enum) or kind.__module__ == "_collections":
            self.facts.append(value)
        elif isinstance(value, np.generic):
            if value.dtype.hasobject:
                raise _Unlisted
            self.facts.append(value)
        elif isinstance(value, type):
            self.visit_class(value)
        elif _is_pure(value) and callable(value):
            self.facts.append(value)
        elif isinstance(value, tuple) and type(value).__len__ is tuple.__len__:
            self.visit_class(kind)
            self.visit_sequence(tuple(value))
        elif isinstance(value, staticmethod | classmethod):
            self.facts.append(kind)
            self.visit(value.__func__)
        elif isinstance(value, property):
            self.facts.append(kind)
            for part in (value.fget, value.fset, value.fdel):
                self.visit(part)
        elif isinstance(value, functools.cached_property):
            self.facts.append(kind)
            self.visit(value.func)
        elif isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
            self.facts.append(value)
        else:
            self.visit_instance(value)

    def visit_instance(self, value: Any) -> None:
        kind = type(value)
        plain = kind.__module__.split(".")[0] not in ("builtins", "numpy", "scipy", "random", "io")
        if not plain or type(kind) is not type or not _only_python(kind):
            raise _Unlisted
        self.visit_class(kind)
        self.visit_dict(vars(value))


_ATOM_TYPES = frozenset({*_ATOMS[:-3], slice, range, type(NotImplemented)})
_HANDLERS: dict[type, Callable[[_Walk, Any], None]] = {
    np.ndarray: _Walk.visit_array,
    types.FunctionType: _Walk.visit_function,
    types.MethodType: _Walk.visit_method,
    tuple: _Walk.visit_sequence,
    list: _Walk.visit_sequence,
    dict: _Walk.visit_dict,
    OrderedDict: _Walk.visit_dict,
    defaultdict: _Walk.visit_dict,
    functools.partial: _Walk.visit_partial,
}
_CLASS_NOISE = frozenset(
    {
        *("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__match_args__"),
        *("__qualname__", "__dataclass_fields__", "__dataclass_params__", "__static_attributes__"),
        *("__firstlineno__", "__annotate__", "__orig_bases__", "__parameters__", "__slots__"),
        *(
            "__abstractmethods__",
            "_abc_impl",
            "__hash__",
            "__repr__",
            "__annotations_cache__",
            "__annotate_func__",
        ),
    }
)


def _only_python(kind: type) -> bool:
    """Whether an instance's state is its ``__dict__`` alone: no slots, no base written in C."""
    return all(
        base is object or (base.__flags__ & (1 << 9) and "__slots__" not in vars(base))
        for base in kind.__mro__
    )


def _top(value: Any) -> str:
    return (getattr(value, "__module__", "") or "").split(".")[0]


def _is_pure(value: Any) -> bool:
    """Whether a function belongs to a module whose functions depend on their arguments only."""
    return (
        _top(value) in _PURE_MODULES
        and getattr(value, "__name__", "") not in _IMPURE_NAMES
        and not (getattr(value, "__module__", "") or "").startswith("numpy.random")
    )


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> _Names:
    """What a code object and those inside it read."""
    found: dict[str, None] = {}
    attributes: dict[str, None] = {}
    imports: dict[str, None] = {}
    changes = False
    stack = [code]
    while stack:
        part = stack.pop()
        stack.extend(const for const in part.co_consts if isinstance(const, types.CodeType))
        free = set(code.co_freevars)
        for step in dis.get_instructions(part):
            match step.opname:
                case "LOAD_GLOBAL" | "LOAD_NAME":
                    found[step.argval] = None
                case "IMPORT_NAME":
                    imports[step.argval] = None
                case "STORE_GLOBAL" | "DELETE_GLOBAL":
                    changes = True
                case "STORE_DEREF" | "DELETE_DEREF" if step.argval in free:
                    changes = True
                case name if "ATTR" in name or "METHOD" in name or name == "IMPORT_FROM":
                    attributes[str(step.argval)] = None
    return _Names(tuple(found), frozenset(attributes), tuple(imports), changes)

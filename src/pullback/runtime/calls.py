"""One call of a user's function: its arguments flat, a key of all that a trace depends on."""

from __future__ import annotations

import functools
import inspect
import keyword
import types
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from ..backends.python.names import Names
from ..errors import ArgumentError
from ..later import np
from ..trees import (
    Branch,
    Leaf,
    Static,
    Structure,
    distinct,
    exactly,
    flatten,
    leaf_name,
    paths,
    show_path,
    statics,
    unflatten,
)

_PLAIN = (int, bool, str, bytes, type(None), type(Ellipsis), slice, range)
_CONTAINERS = (dict, list, tuple, OrderedDict)


def _objects_in(structure: Structure) -> tuple[Any, ...]:
    """What a structure holds besides containers and plain values: classes, functions, keys."""
    if isinstance(structure, Static):
        value = structure.value.value
        return () if type(value) in _PLAIN or isinstance(value, np.dtype) else (value,)
    if not isinstance(structure, Branch):
        return ()
    make = structure.make
    own = make if isinstance(make, tuple) else () if make in _CONTAINERS else (make,)
    keys = [key for kind, key in structure.steps if kind == "key" and type(key) is not str]
    inner = [item for child in structure.children for item in _objects_in(child)]
    return (*own, *keys, *inner)


@lru_cache(maxsize=4096)
def _is_data(structure: Structure) -> bool:
    """Whether a structure holds nothing but containers and plain values."""
    return not _objects_in(structure)


Argnums = int | str | Sequence[int | str]


@dataclass(frozen=True)
class Parameters:
    """A function's positional parameters, its ``*args`` ("" for none), all it has by name."""

    names: tuple[str, ...]
    rest: str
    known: tuple[str, ...]
    _pullback_reads: ClassVar = ("names", "rest", "known")

    def label(self, position: int) -> str:
        """A name for the argument at a position."""
        if position < len(self.names):
            return self.names[position]
        return f"{self.rest or 'x'}_{position - len(self.names)}"


def parameters(function: Callable[..., Any]) -> Parameters:
    """What a function's signature says (nothing for most functions written in C).

    >>> parameters(lambda X, W, *more, axis=0: X).names
    ('X', 'W')
    """
    if not callable(function):
        raise ArgumentError(
            "there is no function to differentiate",
            expected="a function of arrays",
            found=f"a {type(function).__name__}",
            hint="pullback.define makes a function of index notation"
            if isinstance(function, str)
            else "",
        )
    if type(function) is types.FunctionType and not function.__dict__:
        return _of_code(function.__code__)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return Parameters((), "x", ())
    kinds = signature.parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rest = [p.name for p in kinds if p.kind is inspect.Parameter.VAR_POSITIONAL]
    names = tuple(p.name for p in kinds if p.kind in positional)
    return Parameters(names, rest[0] if rest else "", tuple(signature.parameters))


@lru_cache(maxsize=4096)
def _of_code(code: types.CodeType) -> Parameters:
    """What the code of a plain function says; a signature costs more than a whole call."""
    last = code.co_argcount + code.co_kwonlyargcount
    rest = code.co_varnames[last] if code.co_flags & inspect.CO_VARARGS else ""
    return Parameters(code.co_varnames[: code.co_argcount], rest, code.co_varnames[:last])


class Arguments:
    """The parameters of what a program is compiled to: its inputs by position or by name, its
    sizes by name.

    A name that Python has no parameter for (``the weights``, ``X'``, ``lambda``) is spelled as an
    identifier in ``signature``; both the name and the identifier are understood.
    """

    def __init__(self, names: Sequence[str], sizes: Sequence[str]) -> None:
        self.names, self.sizes = tuple(names), tuple(sizes)
        every = dict.fromkeys((*names, *sizes))
        own = Names(plain=True)
        own.reserved = frozenset(keyword.kwlist)
        own.taken = {*own.reserved, *filter(_is_parameter, every)}
        self.words = [name if _is_parameter(name) else own.fresh(name) for name in names]
        for name in sizes:  # an input and a size may have one name
            kept = _is_parameter(name) and name not in names
            self.words.append(name if kept else own.fresh(name))
        kind = inspect.Parameter
        count = len(self.names)
        self.signature = inspect.Signature([
            kind(word, kind.POSITIONAL_OR_KEYWORD if n < count else kind.KEYWORD_ONLY)
            for n, word in enumerate(self.words)
        ])  # fmt: skip

    def bind(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], where: str
    ) -> tuple[list[Any], dict[str, Any]]:
        """The values of the inputs in order, and the sizes; raises ArgumentError for arguments
        that don't fit the signature."""
        if not kwargs and not self.sizes and len(args) == len(self.names):
            return list(args), {}
        given: dict[str, Any] = {}
        for key, value in kwargs.items():
            word = self._word(key)
            if word in given:
                raise ArgumentError(f"{key} is given twice", where=where)
            given[word] = value
        count = len(self.names)
        of_sizes = self.words[count:]
        known = [name for name, word in zip(self.sizes, of_sizes, strict=True) if word in given]
        check_sizes(self.sizes, dict.fromkeys(known), where)
        try:
            values = self.signature.bind(*args, **given).arguments
        except TypeError as error:
            named = f", by name {', '.join(kwargs)}" if kwargs else ""
            raise ArgumentError(
                str(error),
                where=where,
                expected=f"{self.signature}",
                found=f"{len(args)} by position{named}",
            ) from error
        sizes = zip(self.sizes, of_sizes, strict=True)
        return [values[word] for word in self.words[:count]], {n: values[w] for n, w in sizes}

    def _word(self, key: str) -> str:
        """The parameter that a keyword argument is for."""
        if key in self.words:
            return key
        every = (*self.names, *self.sizes)
        return self.words[every.index(key)] if key in every else key


def _is_parameter(name: str) -> bool:
    """Whether Python passes a keyword argument by just this name."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and unicodedata.normalize("NFKC", name) == name
    )


class Call:
    """The arguments of one call: ``structures`` and ``leaves`` a slot, positional arguments
    first. ``closes_over`` is set where the function was seen to read traced arrays besides,
    ``hidden`` are the captured arrays that are inputs of the plan, too.

    Where the arguments are nothing but arrays and Python floats (``is_plain``), only ``key`` and
    ``leaves`` are made at once: a known call needs no more.
    """

    closes_over = given_traced = False
    is_plain = True
    hidden: Sequence[Any] = ()
    keywords: tuple[str, ...] = ()  # in the order in which a function with **kwargs meets them

    def __init__(self, about: Parameters, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.about = about
        self.positional = len(args)
        if kwargs:
            self.keywords = tuple(kwargs)
            args = (*args, *kwargs.values())
        self.values = args
        self.leaves = args
        kinds: list[Hashable] = []
        for value in args:
            if type(value) is np.ndarray and value.dtype.kind != "c":
                kinds += value.shape, value.dtype
            elif type(value) is float:
                kinds.append(float)
            else:
                self.is_plain = False
                kinds = self._kinds()
                break
        self.key: Hashable = (self.keywords, *kinds)

    def _kinds(self) -> list[Hashable]:
        """What tells calls apart whose arguments are taken apart."""
        self.leaves = [leaf for found, _ in self.flat for leaf in found]
        kinds: list[Hashable] = [self.positional, *self.structures]
        for leaf in self.leaves:
            kind = type(leaf)
            if kind is float:
                kinds.append(float)
                continue
            kinds.append((leaf.shape, leaf.dtype))
            if kind is not np.ndarray and hasattr(leaf, "_pullback_value"):
                self.given_traced = True
        return kinds

    @cached_property
    def labels(self) -> list[str]:
        """A name for each slot."""
        known = self.about.names[: self.positional]
        more = [self.about.label(n) for n in range(len(known), self.positional)]
        return [*known, *more, *self.keywords]

    @cached_property
    def flat(self) -> list[tuple[list[Any], Structure]]:
        """The leaves and the structure of each slot."""
        return [
            flatten(value, label) for label, value in zip(self.labels, self.values, strict=True)
        ]

    @cached_property
    def structures(self) -> list[Structure]:
        return [structure for _, structure in self.flat]

    @cached_property
    def counts(self) -> list[int]:
        """The number of leaves of each slot."""
        return [len(found) for found, _ in self.flat]

    @property
    def also(self) -> tuple[Any, ...]:
        """The classes and functions among the arguments: a trace depends on what they are."""
        if self.is_plain:
            return ()
        for structure in self.structures:
            if type(structure) is not Leaf and not _is_data(structure):
                break
        else:
            return ()
        return tuple(item for structure in self.structures for item in _objects_in(structure))

    @property
    def form(self) -> Hashable:
        """Like ``key``, but for the extents of the arrays."""
        leaves = [
            (leaf.ndim, leaf.dtype) if type(leaf) is not float else float for leaf in self.leaves
        ]
        return (self.positional, self.keywords, *self.structures, *leaves)

    @property
    def floats(self) -> tuple[Hashable, ...]:
        """The values of the Python floats, exactly."""
        return tuple(exactly(leaf) for leaf in self.leaves if type(leaf) is float)

    @property
    def traced(self) -> bool:
        """Whether an array that the function is given, or closes over, is being traced."""
        return self.closes_over or self.given_traced

    def only_leaf(self, slot: int) -> int:
        """The position of the one leaf of a slot that is an array or a number."""
        if not isinstance(self.structures[slot], Leaf):
            raise ArgumentError(
                f"{self.labels[slot]} is not an array",
                where=f"argument {self.labels[slot]}",
                expected="an array or a float",
                hint="np.asarray makes an array of a list; a single number is written 3.0",
            )
        return self.leaves_of(slot)[0]

    def static(self, slot: int) -> Any:
        """The value of a slot that holds no array, e.g. a size."""
        structure = self.structures[slot]
        return (
            structure.value.value
            if isinstance(structure, Static)
            else self.leaves[self.only_leaf(slot)]
        )

    @cached_property
    def names(self) -> list[str]:
        """A distinct name for each leaf: an input of the program."""
        return distinct(
            leaf_name(label, path)
            for label, structure in zip(self.labels, self.structures, strict=True)
            for path in paths(structure)
        )

    @cached_property
    def places(self) -> list[str]:
        """Each leaf as a person writes it."""
        return [
            show_path(label, path)
            for label, structure in zip(self.labels, self.structures, strict=True)
            for path in paths(structure)
        ]

    def rebuilt(self, leaves: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments with other leaves."""
        values = []
        start = 0
        for structure, n in zip(self.structures, self.counts, strict=True):
            values.append(unflatten(structure, leaves[start : start + n]))
            start += n
        keywords = dict(zip(self.keywords, values[self.positional :], strict=True))
        return values[: self.positional], keywords

    def leaves_of(self, slot: int) -> range:
        """The positions of a slot's leaves among all leaves."""
        start = sum(self.counts[:slot])
        return range(start, start + self.counts[slot])


def identity(function: Callable[..., Any]) -> Hashable:
    """What stays the same for functions that the same source makes (lambdas in a loop, methods).

    Other objects are told by where they are, not by an equality of their own.
    """
    if type(function) is types.FunctionType:
        return function.__code__
    if isinstance(function, types.MethodType) and isinstance(function.__func__, types.FunctionType):
        return function.__func__.__code__
    if isinstance(function, functools.partial):
        return functools.partial, identity(function.func)
    of = getattr(type(function), "_pullback_of", None)  # what differentiates a function
    return type(function).__name__, id(function) if of is None else identity(of(function))


def check_argnums(argnums: Argnums) -> tuple[tuple[int | str, ...], bool]:
    """The arguments asked for, and whether a single one was (so that its gradient comes bare).

    >>> check_argnums(0), check_argnums(("W", -1))
    (((0,), True), (('W', -1), False))
    """
    single = isinstance(argnums, int | str)
    wanted = (argnums,) if single else tuple(argnums) if isinstance(argnums, Sequence) else ()
    for item in wanted:
        if isinstance(item, bool) or not isinstance(item, int | str):
            wanted = ()
    if not wanted:
        raise ArgumentError(
            "argnums says which arguments to differentiate by",
            expected="a position, a parameter's name, or a tuple of them",
            found=repr(argnums)[:80],
        )
    return wanted, single  # type: ignore[return-value]


def slots(wanted: Sequence[int | str], about: Parameters, call: Call) -> tuple[int, ...]:
    """The slots of a call that ``argnums`` asks for; raises ArgumentError where there is none."""
    found = tuple(_slot(item, about, call) for item in wanted)
    for n, slot in enumerate(found):
        if slot in found[:n]:
            raise ArgumentError(
                f"argnums names the argument {call.labels[slot]} twice",
                found=repr(tuple(wanted)),
                hint="ask for each argument once",
            )
    return found


def _slot(item: int | str, about: Parameters, call: Call) -> int:
    if isinstance(item, str):
        if item in call.labels:
            return call.labels.index(item)
        raise ArgumentError(
            f"argnums asks for the argument {item!r}, which the call doesn't pass",
            expected=f"one of {', '.join(call.labels) or 'no arguments'}",
            hint=f"pass {item} instead of leaving it at its default"
            if item in about.known
            else "check its spelling",
        )
    position = item + call.positional if item < 0 else item
    if 0 <= position < call.positional:
        return position
    name = about.names[position] if 0 <= position < len(about.names) else ""
    if name in call.keywords:
        return call.labels.index(name)
    raise ArgumentError(
        f"argnums asks for argument {item}, which the call doesn't pass",
        expected=f"a position below {call.positional}"
        + (f" ({', '.join(call.labels[: call.positional])})" if call.positional else ""),
        found=str(item),
        hint="positions count from 0; a keyword argument is asked for by name",
    )


def check_floats(call: Call, slot: int) -> None:
    """Refuses an argument that holds anything but floats (and None): it can't be differentiated."""
    label = call.labels[slot]
    for path, value in statics(call.structures[slot]):
        if value is not None:
            raise ArgumentError(
                f"{show_path(label, path)} can't be differentiated",
                where=f"argument {label}",
                expected="floats",
                found=f"{type(value).__name__} {value!r}"[:80],
                hint=_static_hint(value, path, label),
            )
    for n in call.leaves_of(slot):
        leaf = call.leaves[n]
        if not isinstance(leaf, float) and leaf.dtype.kind != "f":
            raise ArgumentError(
                f"{call.places[n]} can't be differentiated",
                where=f"argument {label}",
                expected="floats",
                found=f"dtype {leaf.dtype}, shape {leaf.shape}",
                hint=f"pass {call.places[n]}.astype(float) if it is a quantity; "
                f"leave {label} out of argnums if it is an index, a label or a mask",
            )


def _static_hint(value: Any, path: Sequence[Any], label: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        if not path:
            return f"pass a float, {value}.0, or leave {label} out of argnums"
        array = "; np.array makes one array of a list of numbers" if path[-1][0] == "item" else ""
        return f"make it a float, {value}.0, or pass it as an argument of its own{array}"
    if not path:
        return f"leave {label} out of argnums"
    return f"pass it as an argument of its own, not inside {label}"


def as_array(leaf: Any) -> np.ndarray[Any, Any]:
    """A leaf as an array in native byte order; the array itself where it is one already."""
    if type(leaf) is np.ndarray and leaf.dtype.isnative:
        return leaf
    array = np.asarray(leaf)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_sizes(sizes: Sequence[str], given: Mapping[str, Any], where: str) -> None:
    """Refuses a call without a size that no array's shape tells."""
    missing = [name for name in sizes if name not in given]
    if missing:
        raise ArgumentError(
            f"the size {missing[0]} is not given",
            where=where,
            expected=", ".join(f"{name}=..." for name in missing),
            hint="no array's shape tells it",
        )


def plain_array(value: Any, name: str) -> np.ndarray[Any, Any]:
    """Anything like an array as an array; subclasses that mean something else are refused."""
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        flatten(value, name)
    try:
        return as_array(value)
    except ValueError as error:
        raise ArgumentError(
            f"{name} is not an array", where=f"argument {name}", found=str(error)
        ) from None


def kinds(call: Call) -> list[Leaf]:
    """The kind of each leaf, in order."""
    found: list[Leaf] = []

    def visit(node: Structure) -> None:
        if isinstance(node, Leaf):
            found.append(node)
        else:
            for child in getattr(node, "children", ()):
                visit(child)

    for structure in call.structures:
        visit(structure)
    return found

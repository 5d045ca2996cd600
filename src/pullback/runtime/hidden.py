"""Captured arrays as inputs: the function is traced with traced arrays in their place.

What stands in the place of an array is put into a copy of whatever holds the array: of the
function (its closure, defaults and globals), of containers, of objects. Nothing of the user's is
changed. An array is left as it is, and compared by content, where it is also reached on a way that
can't be copied (an attribute of a class or of a module), or where tracing asked for its values.
"""

from __future__ import annotations

import enum
import functools
import types
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import surroundings as seen
from .captured import ENDLESS, MAX_BYTES, Look, look
from .pure import is_ours

Part = tuple[seen.Node, str, bool]  # what is held, a name for it, whether its holder can be copied


class Around:
    """A function's surroundings at its first run, and what may be done once they are compared."""

    def __init__(self, function: Callable[..., Any], also: Sequence[Any], found: Look) -> None:
        self.function = function
        self.also = also
        self.found = found

    @classmethod
    def of(
        cls, function: Callable[..., Any], also: Sequence[Any], most_bytes: float = ENDLESS
    ) -> Around | None:
        """What surrounds a function, None where that can't be compared, or has larger arrays."""
        found = look(function, also, most_bytes)
        return None if found is None else cls(function, also, found)

    def same(self) -> bool:
        """Whether nothing changed: the function may be run again, and nobody can tell."""
        return self.found.surroundings.hold(self.function, self.also)

    def is_small(self) -> bool:
        """Whether a copy may be kept of all arrays that are not inputs."""
        return all(
            node.place >= 0 or array.nbytes <= MAX_BYTES
            for node, array in self.found.objects.items()
            if isinstance(node, seen.Content)
        )

    def candidates(self) -> list[Candidate]:
        """The arrays that may be inputs."""
        if self.found.by_type:
            return []
        roots = self.found.surroundings.roots
        fixed = _fixed(roots, self.found.objects)
        return [
            Candidate(node, name, self.found.objects[node])
            for node, name in _named(roots[0], self.found.objects).items()
            if node not in fixed and self._may_be_input(self.found.objects[node])
        ]

    def _may_be_input(self, array: np.ndarray[Any, Any]) -> bool:
        kind = array.dtype.kind
        if kind not in "fiub" or not array.dtype.isnative:
            return False
        # Formulas of index notation look at whole numbers before they compute with them.
        return kind == "f" or not (self.found.ours and kind in "iu")

    def with_arrays(self, arrays: Mapping[seen.Node, Any]) -> Callable[..., Any]:
        """The function that finds other arrays (or traced ones) in the places of some."""
        copies = _Copies(self.found, arrays)
        return copies.of(self.found.surroundings.roots[0], self.function)  # type: ignore[no-any-return]

    def hide(self, chosen: Sequence[Candidate]) -> None:
        """Makes inputs of some arrays."""
        self.found.surroundings.hide([one.node for one in chosen])


class Candidate:
    """An array that may be an input, by the name that it is first met by."""

    def __init__(self, node: seen.Content, name: str, array: np.ndarray[Any, Any]) -> None:
        self.node = node
        self.name = name
        self.array = array


# --------------------------------------------------------------------------------------------------
# Ways to an array


def _parts(node: seen.Node, value: Any) -> Iterator[Part]:
    """What an object holds of all that was looked at."""
    match node:
        case seen.Function():
            copied = not is_ours(value)
            names = _named_defaults(value)
            ways = [chain for _, chain in node.cells] + node.chains
            for chain in ways:
                direct = copied and not chain.modules and not isinstance(chain, seen.Imported)
                yield chain.last, chain.names[0], direct
            for part, name in zip(node.defaults, names, strict=True):
                yield part, name, copied
            for name, part in node.entries.parts.items():
                yield part, name, copied
        case seen.Instance():
            kind = type(value)
            copied = not isinstance(value, enum.Enum) and not hasattr(kind, "__del__")
            yield node.kind, "", False
            fields = getattr(kind, "_fields", ())
            for n, part in enumerate(node.items or ()):
                yield part, str(fields[n]) if n < len(fields) else "", copied
            for slot, part in node.slots:
                yield part, slot.__name__, copied
            for name, part in node.entries.parts.items():
                yield part, name, copied
        case seen.Class():
            for _, _, parts in node.bases:
                for part in parts.values():
                    yield part, "", False
        case seen.Items():
            for key in node.keys:
                yield key, "", False
            for name, part in zip(node.names or [""] * len(node.parts), node.parts, strict=True):
                yield part, name, node.names is not None and node.kind in (dict, OrderedDict)
        case seen.Parts():
            for part in node.parts:
                yield part, "", node.kind in _COPIED


def _named_defaults(value: types.FunctionType) -> list[str]:
    """A name for each thing that :func:`.surroundings.defaults_of` lists."""
    code, own = value.__code__, value.__defaults__ or ()
    named = [*(value.__kwdefaults__ or ())]
    return [*code.co_varnames[code.co_argcount - len(own) : code.co_argcount], *named, *named]


def _fixed(roots: Sequence[seen.Node], objects: Mapping[seen.Node, Any]) -> set[seen.Node]:
    """All that is reached on a way that can't be copied."""
    found: set[seen.Node] = set()
    known: set[seen.Node] = set()
    left = [(roots[0], True), *((root, False) for root in roots[1:])]
    while left:
        node, copied = left.pop()
        if node in (known if copied else found):
            continue
        (known if copied else found).add(node)
        for part, _, way in _parts(node, objects.get(node)):
            left.append((part, copied and way))
    return found


def _named(root: seen.Node, objects: Mapping[seen.Node, Any]) -> dict[seen.Content, str]:
    """The arrays that are reached, in the order in which they are met, with a name for each."""
    arrays: dict[seen.Content, str] = {}
    known: set[seen.Node] = set()
    left = [(root, "")]
    while left:
        node, name = left.pop()
        if node in known:
            continue
        known.add(node)
        if isinstance(node, seen.Content):
            arrays[node] = name if name.isidentifier() and name.isascii() else "captured"
        parts = [(part, own or name) for part, own, _ in _parts(node, objects.get(node))]
        left += reversed(parts)
    return arrays


# --------------------------------------------------------------------------------------------------
# Copies

_COPIED = (list, tuple, types.MethodType, functools.partial, types.SimpleNamespace)


class _Copies:
    """Copies of what holds some arrays, with others in their places; all else is itself."""

    def __init__(self, found: Look, arrays: Mapping[seen.Node, Any]) -> None:
        self.objects = found.objects
        self.made: dict[seen.Node, Any] = dict(arrays)
        self.holders = _holders(found.surroundings.roots[0], found.objects, arrays)

    def of(self, node: seen.Node, value: Any) -> Any:
        """The object that a node stands for, or its copy."""
        if node in self.made:
            return self.made[node]
        if node not in self.holders:
            return value
        match node:
            case seen.Function():
                return self.function(node, value)
            case seen.Instance():
                return self.instance(node, value)
            case seen.Items():
                return self.items(node, value)
            case seen.Parts():
                return self.parts(node, value)
        raise AssertionError(f"a {type(node).__name__} was taken for a holder of arrays")

    def all_of(self, nodes: Sequence[seen.Node], values: Sequence[Any]) -> list[Any]:
        return [self.of(node, value) for node, value in zip(nodes, values, strict=True)]

    def function(self, node: seen.Function, value: types.FunctionType) -> types.FunctionType:
        closure = [*(value.__closure__ or ())]
        own = [(n, chain) for n, chain in node.cells if chain.last in self.holders]
        for n, _ in own:
            closure[n] = types.CellType()
        space = {**value.__globals__}
        made = types.FunctionType(value.__code__, space, value.__name__, None, tuple(closure))
        self.made[node] = made
        made.__qualname__, made.__module__ = value.__qualname__, value.__module__
        made.__dict__.update(value.__dict__)
        for n, chain in own:
            closure[n].cell_contents = self.of(chain.last, self.objects[chain.last])
        for chain in node.chains:
            if chain.last in self.holders:
                space[chain.names[0]] = self.of(chain.last, self.objects[chain.last])
        defaults = self.all_of(node.defaults, seen.defaults_of(value))
        count = len(value.__defaults__ or ())
        made.__defaults__ = tuple(defaults[:count]) or None
        if value.__kwdefaults__:
            names = [*value.__kwdefaults__]
            made.__kwdefaults__ = dict(zip(names, defaults[count + len(names) :], strict=True))
        self.entries(node.entries, made.__dict__)
        return made

    def instance(self, node: seen.Instance, value: Any) -> Any:
        kind = type(value)
        if node.items is None:
            made = object.__new__(kind)
        else:
            made = tuple.__new__(kind, self.all_of(node.items, [*tuple.__iter__(value)]))
        self.made[node] = made
        for slot, part in node.slots:
            content = seen.in_slot(slot, value)
            if content is not seen.MISSING:
                slot.__set__(made, self.of(part, content))
        own = seen.own_attributes(value)
        if own:
            space = seen.own_attributes(made)
            space.update(own)
            self.entries(node.entries, space)
        return made

    def entries(self, entries: seen.Names, space: dict[str, Any]) -> None:
        for name, part in entries.parts.items():
            space[name] = self.of(part, space[name])

    def items(self, node: seen.Items, value: dict[Any, Any]) -> dict[Any, Any]:
        made = self.made[node] = type(value)()
        for part, (key, content) in zip(node.parts, value.items(), strict=True):
            made[key] = self.of(part, content)
        return made

    def parts(self, node: seen.Parts, value: Any) -> Any:
        if node.kind is list:
            made: Any = []
            self.made[node] = made
            made += self.all_of(node.parts, value)
            return made
        if node.kind is types.SimpleNamespace:
            made = self.made[node] = types.SimpleNamespace()
            vars(made).update(self.of(node.parts[0], vars(value)))
            return made
        parts = self.all_of(node.parts, node.take(value))
        if node.kind is tuple:
            made = tuple(parts)
        elif node.kind is types.MethodType:
            made = types.MethodType(*parts)
        else:
            made = functools.partial(parts[0], *parts[1], **parts[2])
        return self.made.setdefault(node, made)


def _holders(
    root: seen.Node, objects: Mapping[seen.Node, Any], arrays: Collection[seen.Node]
) -> set[seen.Node]:
    """All that leads to one of the arrays, and the arrays themselves."""
    above: dict[seen.Node, list[seen.Node]] = {}
    left = [root]
    known = {root}
    while left:
        node = left.pop()
        for part, _, _ in _parts(node, objects.get(node)):
            above.setdefault(part, []).append(node)
            if part not in known:
                known.add(part)
                left.append(part)
    found: set[seen.Node] = set()
    left = [*arrays]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += above.get(node, ())
    return found

"""Interned, frozen nodes: building the same node twice gives the same object, so equality is
identity."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import lru_cache, wraps
from sys import intern
from threading import RLock
from typing import Any, ClassVar, ParamSpec, TypeVar, cast
from weakref import ref

P = ParamSpec("P")
R = TypeVar("R")


def kept(function: Callable[P, R]) -> Callable[P, R]:
    """A function of nodes that remembers its latest results."""
    return cast(Callable[P, R], lru_cache(maxsize=100_000)(function))


N = TypeVar("N", bound="Node")


def noted(function: Callable[[N], R]) -> Callable[[N], R]:
    """A function of a node whose result is kept on the node, and goes with it.

    The result must not hold the node itself: nodes make no cycles, and so go without a search.
    """
    name = intern(f"{function.__module__}.{function.__qualname__}")

    @wraps(function)
    def found(node: N) -> R:
        known = node.__dict__
        if name not in known:
            known[name] = function(node)
        return known[name]  # type: ignore[no-any-return]

    return found


class _Weak(ref["Node"]):
    """A weak reference to a node that knows the node's place in the table."""

    __slots__ = ("place",)
    place: tuple[Any, ...]


class Interned(type):
    """Metaclass of the nodes. A class using it is a dataclass with ``frozen=True, eq=False``."""

    # As a WeakValueDictionary, whose lookups are Python code that takes three times as long.
    _made: ClassVar[dict[tuple[Any, ...], _Weak]] = {}
    # Held while the table changes. A node may go while another one is made: the lock is reentrant.
    _lock: ClassVar[RLock] = RLock()
    # The place in the table by what is quickly hashed (a fraction isn't), where fields are not.
    placed: Callable[..., tuple[Any, ...]] | None = None

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) < len(cls.__dataclass_fields__):  # type: ignore[attr-defined]
            args = cls._completed(args, kwargs)
        key = (cls, *cls.placed(*args)) if cls.placed else (cls, *args)
        weak = Interned._made.get(key)
        found = None if weak is None else weak()
        return cls._make(key, args) if found is None else found

    def _make(cls, key: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
        """A new node, unless another thread has made an equal one in between."""
        with Interned._lock:
            weak = Interned._made.get(key)
            found = None if weak is None else weak()
            if found is None:
                found = super().__call__(*args)
                weak = _Weak(found, _forget)
                weak.place = key
                Interned._made[key] = weak
            return found

    def _completed(cls, args: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, ...]:
        """All fields by position: a default left out and the same value given are one node."""
        rest = fields(cls)[len(args) :]  # type: ignore[arg-type]
        missing = [f.name for f in rest if f.name not in given and f.default is MISSING]
        if missing:
            raise TypeError(f"{cls.__name__} lacks {', '.join(missing)}")
        return args + tuple(given.get(f.name, f.default) for f in rest)


def _forget(
    weak: _Weak,
    made: dict[tuple[Any, ...], _Weak] = Interned._made,
    lock: RLock = Interned._lock,
) -> None:
    """A node is gone: its place is free, unless an equal node has taken it already. (When Python
    ends, the module's names may be gone before its nodes are.)"""
    with lock:
        if made.get(weak.place) is weak:
            del made[weak.place]


class Node(metaclass=Interned):
    """Base of the interned nodes: a structural order and pickling that keeps identity."""

    _key: str

    @property
    def key(self) -> str:
        """A text that is equal exactly for equal nodes; the order of everything that is sorted."""
        try:
            return self._key
        except AttributeError:
            key = self._spell()
            object.__setattr__(self, "_key", key)
            return key

    def _spell(self) -> str:
        parts = (_spell(getattr(self, field.name)) for field in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({','.join(parts)})"

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: Any) -> Node:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return self.key


def _spell(value: Any) -> str:
    if isinstance(value, Node):
        return value.key
    if isinstance(value, tuple):
        return "(" + ",".join(map(_spell, value)) + ")"
    return spelled(value) if isinstance(value, str) else str(value)


_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\(),:*/+-^ "})


def spelled(name: str) -> str:
    r"""A name as part of a key: what could be taken for the key's own marks is escaped.

    >>> print(spelled("W"), spelled("a,b"))
    W a\,b
    """
    return name if name.isidentifier() else name.translate(_MARKS)


def unspelled(text: str) -> str:
    """The name that :func:`spelled` gives this text for."""
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text

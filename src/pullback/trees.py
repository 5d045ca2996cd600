"""Nested arguments: dicts, lists, tuples, namedtuples and dataclasses of arrays, flat and back
again.

A *leaf* is an array, a NumPy number or a Python float: a value that flows through the program.
Everything else that may stand in an argument (ints, strings, None, dtypes, functions, ...) is
*static*: part of the structure, so that another static value is another structure.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import keyword
import re
import struct
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from .errors import ArgumentError, LimitError
from .later import np

MAX_DEPTH = 64
MAX_LEAVES = 100_000

Step = tuple[str, Any]  # ("key", k), ("item", n) or ("attr", name): one step into a tree


class Leaf(enum.Enum):
    """A place for a value; its kind says what comes back there."""

    ARRAY = "array"
    SCALAR = "NumPy scalar"
    FLOAT = "Python float"
    VALUE = "value"  # what ``is_leaf`` claimed, or an array that is being traced


class Static(NamedTuple):
    """A value that is part of the structure; compared by ``key``."""

    key: Hashable
    value: Held


class Branch(NamedTuple):
    """A container: how to make it again, the steps to its children, the children.

    ``exact`` tells the keys of dicts apart that are equal: 1, True and 1.0.
    """

    make: Any
    steps: tuple[Step, ...]
    children: tuple[Structure, ...]
    exact: Hashable = ()


class Held:
    """Keeps any value inside a structure without taking part in its comparisons."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held)

    def __hash__(self) -> int:
        return 0


Structure = Leaf | Static | Branch


def same_containers(one: Structure, other: Structure) -> bool:
    """Whether two structures differ at most in the kinds of their leaves.

    >>> same_containers(Leaf.ARRAY, Leaf.FLOAT)
    True
    """
    match one, other:
        case Leaf(), Leaf():
            return True
        case Branch(), Branch():
            alike = one._replace(children=()) == other._replace(children=())
            pairs = zip(one.children, other.children, strict=False)
            return (
                alike
                and len(one.children) == len(other.children)
                and all(same_containers(*pair) for pair in pairs)
            )
        case _:
            return one == other


IsLeaf = Callable[[Any], bool]


def flatten(
    tree: Any, where: str = "the argument", is_leaf: IsLeaf | None = None
) -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure (hashable; equal for trees of the same
    form).

    Dicts keep their own order. ``is_leaf`` claims further values as leaves.

    >>> flatten({"W": np.ones(2), "n": 3})[0]
    [array([1., 1.])]

    Raises ArgumentError for what is neither a leaf, nor static, nor a container, and for a tree
    that contains itself.
    """
    if type(tree) is np.ndarray and tree.dtype.kind in "fiub":
        return [tree], Leaf.ARRAY  # the common case, at no cost
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves, _Walk(where, is_leaf))


def unflatten(
    structure: Structure, leaves: Iterable[Any], static: bool = True, conjugate: bool = False
) -> Any:
    """The tree again, with other leaves; its static values too, or None in their place. Complex
    values are made of their parts, or their conjugates are.

    >>> leaves, structure = flatten([1.0, (2.0, "a")])
    >>> unflatten(structure, [3.0, 4.0])
    [3.0, (4.0, 'a')]
    """
    if isinstance(structure, Leaf):
        return next(iter(leaves))
    return _unflatten(structure, iter(leaves), static, conjugate)


class Parts(NamedTuple):
    """The parts of a complex value that are no arrays, such as their shapes."""

    real: Any
    imag: Any


def complex_of(real: Any, imag: Any, conjugate: bool = False) -> Any:
    """The complex value of two parts, or its conjugate; None where there are none.

    >>> complex_of(np.ones(2), np.ones(2), conjugate=True)
    array([1.-1.j, 1.-1.j])
    """
    if real is None and imag is None:
        return None
    for part in (real, imag):
        if hasattr(type(part), "_pullback_complex"):
            return part._pullback_complex(real, -imag if conjugate else imag)
    if not isinstance(real, float | np.ndarray | np.generic):
        return Parts(real, imag)
    parts = np.asarray(real), np.asarray(imag)
    made = np.empty(np.shape(real), np.result_type(*parts, np.complex64))
    made.real, made.imag = real, np.negative(imag) if conjugate else imag
    return made if isinstance(real, np.ndarray) else made[()]


def is_complex(structure: Structure) -> bool:
    """Whether a structure is that of one complex value.

    >>> is_complex(flatten(1j)[1]), is_complex(flatten(1.0)[1])
    (True, False)
    """
    return isinstance(structure, Branch) and structure.make is complex


def holds_complex(structure: Structure) -> bool:
    """Whether a structure has a complex value in it."""
    return isinstance(structure, Branch) and (
        is_complex(structure) or any(map(holds_complex, structure.children))
    )


def is_traced(value: Any) -> bool:
    """Whether a value is an array that is being traced, and holds more than known numbers."""
    return hasattr(type(value), "_pullback_value") and known_numbers(value) is None


def known_numbers(value: Any) -> Any:
    """The array of known numbers that a value stands for while a trace runs, None for others."""
    return value._pullback_plain if hasattr(type(value), "_pullback_plain") else None


def count(structure: Structure) -> int:
    """The number of leaves."""
    if isinstance(structure, Branch):
        return sum(map(count, structure.children))
    return int(isinstance(structure, Leaf))


def paths(structure: Structure) -> list[tuple[Step, ...]]:
    """The way to each leaf, in order."""
    found: list[tuple[Step, ...]] = []

    def visit(node: Structure, path: tuple[Step, ...]) -> None:
        if isinstance(node, Leaf):
            found.append(path)
        elif isinstance(node, Branch):
            for step, child in zip(node.steps, node.children, strict=True):
                visit(child, (*path, step))

    visit(structure, ())
    return found


def statics(structure: Structure) -> list[tuple[tuple[Step, ...], Any]]:
    """The static values with the way to each, in order."""
    found: list[tuple[tuple[Step, ...], Any]] = []

    def visit(node: Structure, path: tuple[Step, ...]) -> None:
        if isinstance(node, Static):
            found.append((path, node.value.value))
        elif isinstance(node, Branch):
            for step, child in zip(node.steps, node.children, strict=True):
                visit(child, (*path, step))

    visit(structure, ())
    return found


def show_path(name: str, path: Sequence[Step]) -> str:
    """A path as a person writes it.

    >>> show_path("params", (("key", "W1"), ("item", 0)))
    "params['W1'][0]"
    """
    return name + "".join(f".{at}" if kind == "attr" else f"[{at!r}]" for kind, at in path)


def leaf_name(name: str, path: Sequence[Step]) -> str:
    """A name for the leaf in a program: ``params['W1']`` is ``params_W1``.

    >>> leaf_name("params", (("key", "layer-1"), ("attr", "W")))
    'params_layer_1_W'
    """
    text = "_".join([name, *(str(at) for _, at in path)])
    text = re.sub(r"[^0-9A-Za-z_]+", "_", text).strip("_") or "value"
    if not text[0].isalpha() or keyword.iskeyword(text):
        text = "arg_" + text
    return text[:60]


def distinct(names: Iterable[str]) -> list[str]:
    """The names, numbered where they repeat.

    >>> distinct(["x", "x_1", "x"])
    ['x', 'x_1', 'x_2']
    """
    wanted = list(names)
    taken = set(wanted)
    used: set[str] = set()
    out: list[str] = []
    for name in wanted:
        n, unique = 1, name
        while unique in used or (unique != name and unique in taken):
            unique, n = f"{name}_{n}", n + 1
        used.add(unique)
        out.append(unique)
    return out


def same_form(left: Structure, right: Structure) -> bool:
    """Whether two trees have leaves in the same places (kinds of leaves and static values
    apart).
    """
    if isinstance(left, Branch) and isinstance(right, Branch):
        return (
            left.make == right.make
            and left.steps == right.steps
            and all(map(same_form, left.children, right.children))
        )
    return isinstance(left, Leaf) == isinstance(right, Leaf) and not (
        isinstance(left, Branch) or isinstance(right, Branch)
    )


def matched(
    tree: Any,
    structure: Structure,
    name: str,
    like: str,
    static: bool = False,
    conjugate: bool = False,
) -> list[Any]:
    """The values of ``tree`` at the leaves of ``structure``, e.g. a tangent beside its primal.
    Complex values give their parts, or those of their conjugates.

    ``tree`` has the same containers; dicts match by key. Where the structure holds something
    static, ``tree`` holds the same if ``static`` says so, else anything. Raises ArgumentError
    naming the place that differs.
    """
    if isinstance(structure, Leaf):
        return [tree]
    found: list[Any] = []
    _Match(found, name, like, static, conjugate).visit(tree, structure, ())
    return found


# --------------------------------------------------------------------------------------------------
# Taking apart


class _Walk:
    """Where the walk is: for errors, and to see a tree that contains itself."""

    __slots__ = ("is_leaf", "open", "path", "where")

    def __init__(self, where: str, is_leaf: IsLeaf | None) -> None:
        self.where = where
        self.is_leaf = is_leaf
        self.path: list[Step] = []
        self.open: list[int] = []

    def place(self) -> str:
        return show_path(self.where, self.path)


def _flatten(tree: Any, leaves: list[Any], walk: _Walk) -> Structure:
    if walk.is_leaf is not None and walk.is_leaf(tree):
        leaves.append(tree)
        return Leaf.VALUE
    kind = _leaf_kinds().get(type(tree))
    if kind is Leaf.ARRAY and tree.dtype.kind == "c":
        kind = None
    if kind is not None:
        if kind is Leaf.ARRAY or kind is Leaf.SCALAR:
            _check_dtype(tree, walk)
        leaves.append(tree)
        if len(leaves) > MAX_LEAVES:
            raise LimitError(
                "an argument with too many arrays",
                where=walk.where,
                expected=f"at most {MAX_LEAVES} arrays",
                hint="stack equal ones into one array",
            )
        return kind
    parts = _parts(tree, walk)
    if parts is None:
        held = known_numbers(tree)
        if held is not None:
            leaves.append(held)
            return Leaf.ARRAY
        if hasattr(type(tree), "_pullback_value") or hasattr(tree, "_pullback_value"):
            leaves.append(tree)
            return Leaf.VALUE
        return Static(_static_key(tree, walk), Held(tree))
    return _flatten_branch(tree, parts, leaves, walk)


def _flatten_branch(tree: Any, parts: _Parts, leaves: list[Any], walk: _Walk) -> Branch:
    if id(tree) in walk.open:
        raise ArgumentError(
            "an argument that contains itself",
            where=walk.place(),
            found=f"a {type(tree).__name__} inside itself",
            hint="pass a tree: dicts, lists, tuples and dataclasses without a cycle",
        )
    if len(walk.open) >= MAX_DEPTH:
        raise LimitError(
            "an argument nested too deeply",
            where=walk.where,
            expected=f"at most {MAX_DEPTH} levels",
        )
    make, steps, values = parts
    walk.open.append(id(tree))
    children = []
    for step, value in zip(steps, values, strict=True):
        walk.path.append(step)
        children.append(_flatten(value, leaves, walk))
        walk.path.pop()
    walk.open.pop()
    exact = tuple(exactly(key) for kind, key in steps if kind == "key" and type(key) is not str)
    return Branch(make, steps, tuple(children), exact)


_Parts = tuple[Any, tuple[Step, ...], Sequence[Any]]


def _parts(tree: Any, walk: _Walk) -> _Parts | None:
    """How to make a container again, the steps into it and its children; None for what is none."""
    kind = type(tree)
    if _holds_parts(tree):
        return complex, (("attr", "real"), ("attr", "imag")), _parts_of(tree)
    if kind is tuple or kind is list:
        return kind, tuple([("item", n) for n in range(len(tree))]), tree
    if kind is dict or kind is OrderedDict:
        return kind, tuple([("key", key) for key in tree]), list(tree.values())
    if kind is defaultdict:
        make = (defaultdict, tree.default_factory)
        return make, tuple(("key", key) for key in tree), list(tree.values())
    if isinstance(tree, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_make"):
        return kind, tuple(("attr", name) for name in kind._fields), tree
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return _dataclass_parts(tree, walk)
    return None


def _holds_parts(tree: Any) -> bool:
    """Whether a value is complex."""
    kind = type(tree)
    if kind is complex or kind is Parts or hasattr(kind, "_pullback_parts"):
        return True
    return isinstance(tree, np.ndarray | np.generic) and tree.dtype.kind == "c"


def _parts_of(tree: Any) -> Sequence[Any]:
    """The real and the imaginary part of a complex value."""
    if hasattr(type(tree), "_pullback_parts"):
        return tree._pullback_parts()  # type: ignore[no-any-return]
    if isinstance(tree, np.ndarray):
        return tree.real.copy(), tree.imag.copy()
    return tree.real, tree.imag


def _dataclass_parts(tree: Any, walk: _Walk) -> _Parts:
    names = [field.name for field in dataclasses.fields(tree)]
    extra = [
        name
        for name in getattr(tree, "__dict__", ())
        if name not in names and not isinstance(_class_value(tree, name), functools.cached_property)
    ]
    if extra:
        raise ArgumentError(
            "a dataclass with attributes that are no fields can't be taken apart",
            where=walk.place(),
            expected=f"only the fields of {type(tree).__name__}: {', '.join(names)}",
            found=", ".join(extra),
            hint="declare them as fields",
        )
    return type(tree), tuple(("attr", n) for n in names), [getattr(tree, n) for n in names]


def _class_value(tree: Any, name: str) -> Any:
    return next((vars(base)[name] for base in type(tree).__mro__ if name in vars(base)), None)


def _unflatten(node: Structure, leaves: Any, static: bool, conjugate: bool) -> Any:
    if isinstance(node, Leaf):
        return next(leaves)
    if isinstance(node, Static):
        return node.value.value if static else None
    children = [_unflatten(child, leaves, static, conjugate) for child in node.children]
    if node.make is complex:
        return complex_of(children[0], children[1], conjugate)
    return _build(node, children)


def _build(node: Branch, children: list[Any]) -> Any:
    make = node.make
    if make is list:
        return children
    if make is tuple:
        return tuple(children)
    keys = [at for _, at in node.steps]
    if make is dict or make is OrderedDict:
        return make(zip(keys, children, strict=True))
    if isinstance(make, tuple):  # a defaultdict with its factory
        return defaultdict(make[1], zip(keys, children, strict=True))
    if isinstance(make, type) and issubclass(make, tuple):
        return make._make(children)  # type: ignore[attr-defined]
    assert isinstance(make, type)
    made: Any = object.__new__(make)  # not __init__: it may convert or check what it is given
    for name, child in zip(keys, children, strict=True):
        object.__setattr__(made, name, child)
    return made


# --------------------------------------------------------------------------------------------------
# Leaves and static values


@functools.cache
def _leaf_kinds() -> dict[type, Leaf]:
    """The leaves by their types; not made before there are any, since NumPy takes long to load."""
    floats_and_integers = np.typecodes["Float"] + np.typecodes["AllInteger"]
    return {
        **{np.dtype(code).type: Leaf.SCALAR for code in floats_and_integers},
        np.bool_: Leaf.SCALAR,
        np.ndarray: Leaf.ARRAY,
        np.memmap: Leaf.ARRAY,
        float: Leaf.FLOAT,
    }


def _check_dtype(value: Any, walk: _Walk) -> None:
    kind = value.dtype.kind
    if kind in "fiub":
        return
    raise ArgumentError(
        f"an argument of dtype {value.dtype}",
        where=walk.place(),
        expected="an array of floats, integers or bools",
        found=f"dtype {value.dtype}, shape {value.shape}",
        hint=_DTYPE_HINTS.get(kind, "convert it to numbers first"),
    )


_DTYPE_HINTS = {
    "O": "np.asarray(argument, dtype=float) makes an array of numbers",
    "U": "turn texts into integer codes, e.g. with np.unique(..., return_inverse=True)",
    "S": "turn texts into integer codes, e.g. with np.unique(..., return_inverse=True)",
    "M": "turn times into numbers, e.g. (t - t0) / np.timedelta64(1, 's')",
    "m": "turn time spans into numbers, e.g. t / np.timedelta64(1, 's')",
    "V": "pass each field of the structured array as its own array",
}

_PLAIN = (int, bool, str, bytes, type(None), type(Ellipsis), enum.Enum, type, range)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (*_PLAIN, np.dtype))


def _static_key(value: Any, walk: _Walk) -> Hashable:
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return (slice, *(_static_key(part, walk) for part in parts))
    if isinstance(value, frozenset) and all(map(_is_plain, value)):
        return exactly(value)
    if _is_plain(value) or callable(value):
        try:
            hash(value)
        except TypeError:
            pass
        else:
            return exactly(value)
    raise ArgumentError(
        f"an argument of type {type(value).__module__}.{type(value).__qualname__}",
        where=walk.place(),
        expected="arrays, numbers, static values, or dicts, lists, tuples and dataclasses of them",
        found=_short(value),
        hint=_type_hint(value),
    )


def exactly(value: Any) -> Hashable:
    """A key that is equal for the same values of the same types only.

    >>> exactly((1, 0.0)) == exactly((True, 0.0)), exactly(0.0) == exactly(-0.0)
    (False, False)
    """
    if isinstance(value, float):
        return type(value), struct.pack("d", value)
    if isinstance(value, tuple):
        return type(value), tuple(map(exactly, value))
    if isinstance(value, frozenset):
        return type(value), tuple(map(exactly, value))
    return type(value), value


def _type_hint(value: Any) -> str:
    if isinstance(value, np.ma.MaskedArray | np.matrix):
        return "np.asarray(argument) gives the plain array; pass a mask as an array of its own"
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return "convert it to a NumPy array first: np.asarray(argument)"
    if isinstance(value, dict | tuple | list):
        return "convert it to a plain dict, list or tuple"
    return "make its class a dataclass whose fields are arrays, or pass its arrays on their own"


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a repr of the user's that fails must not hide the error
        text = object.__repr__(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


# --------------------------------------------------------------------------------------------------
# Matching one tree against another's structure


class _Match(NamedTuple):
    found: list[Any]
    name: str
    like: str
    static: bool
    conjugate: bool

    def visit(self, tree: Any, node: Structure, path: tuple[Step, ...]) -> None:
        if isinstance(node, Leaf):
            self.found.append(tree)
        elif isinstance(node, Static):
            if self.static:
                self.check(tree, node, path)
        elif node.make is complex:
            self.found.extend(self.parts(tree))
        else:
            values = _children(tree, node, path, self.name, self.like)
            for value, step, child in zip(values, node.steps, node.children, strict=True):
                self.visit(value, child, (*path, step))

    def parts(self, tree: Any) -> Sequence[Any]:
        """The parts of what stands beside a complex value; both None for None."""
        if tree is None:
            return None, None
        real, imag = _parts_of(tree) if _holds_parts(tree) else (tree, None)
        return real, -imag if self.conjugate and imag is not None else imag

    def check(self, tree: Any, node: Static, path: tuple[Step, ...]) -> None:
        _, own = flatten(tree, show_path(self.name, path))
        if own != node:
            raise ArgumentError(
                f"{self.name} holds something else than {self.like}",
                where=show_path(self.name, path),
                expected=_short(node.value.value),
                found=_short(tree),
            )


def _children(
    tree: Any, node: Branch, path: tuple[Step, ...], name: str, like: str
) -> Sequence[Any]:
    make = node.make[0] if isinstance(node.make, tuple) else node.make
    steps = [at for _, at in node.steps]
    found = f"a {type(tree).__name__}"
    if isinstance(make, type) and issubclass(make, dict):
        if isinstance(tree, dict) and len(tree) == len(steps) and all(key in tree for key in steps):
            return [tree[key] for key in steps]
        if isinstance(tree, dict):
            found = f"the keys {', '.join(map(repr, tree))}"
        wanted = f"a dict with the keys {', '.join(map(repr, steps))}"
    elif make is list or make is tuple:
        if isinstance(tree, list | tuple) and len(tree) == len(steps):
            return tree
        if isinstance(tree, list | tuple):
            found = f"a {type(tree).__name__} of {len(tree)}"
        wanted = f"a {make.__name__} of {len(steps)}"
    else:
        if type(tree) is make:
            return [getattr(tree, at) for at in steps]
        wanted = f"a {make.__name__}"
    raise ArgumentError(
        f"{name} has another structure than {like}",
        where=show_path(name, path),
        expected=wanted,
        found=found,
        hint=f"give {name} the same containers as {like}",
    )

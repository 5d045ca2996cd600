"""What a derivation compiles to: a forward and a backward pass that run its generated source."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from operator import is_
from typing import Any, ClassVar

import numpy as np

from ..backends.numpy.module import size_keywords
from ..backends.python.preface import Preface
from ..errors import ArgumentError, UnsupportedError
from ..ir.program import Program, check_extents, solve_sizes
from ..trees import (
    Leaf,
    Structure,
    count,
    is_traced,
    matched,
    paths,
    show_path,
    unflatten,
)
from . import quick
from .bounds import check_integers, check_work, is_watched
from .calls import Arguments, plain_array
from .compiled import backward_of
from .cotangents import check_nothing, like_primal
from .derived import Derived, Gradients
from .load import load_module
from .lookups import check_lookups, positions
from .nested import refuse_around
from .notated import check_kind

Like = tuple[tuple[int, ...], "np.dtype[Any]"]  # a shape and a dtype


class Cache(tuple[Any, ...]):
    """What a backward pass needs of its forward pass.

    What is known of a call by the shapes and dtypes of its arguments is known of a class of caches:
    the shapes and dtypes of the ``outputs``, and the dtypes of the ``gradients``.
    """

    outputs: ClassVar[tuple[Like, ...]] = ()
    gradients: ClassVar[tuple[np.dtype[Any], ...]] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return _cache, (self.outputs, self.gradients, tuple(self))


@lru_cache(maxsize=1024)
def _caches(outputs: tuple[Like, ...], gradients: tuple[np.dtype[Any], ...]) -> type[Cache]:
    """The class of caches of which this is known."""
    return type("Cache", (Cache,), {"outputs": outputs, "gradients": gradients})


def _cache(
    outputs: tuple[Like, ...], gradients: tuple[np.dtype[Any], ...], values: tuple[Any, ...]
) -> Cache:
    return _caches(outputs, gradients)(values)


class Compiled(functools.partial[Any]):
    """What a forward or a backward pass is called by: Python calls it without a frame of its own,
    which an object with a method ``__call__`` needs. It is pickled as the pass.
    """

    of: Forward | Backward
    __name__: str
    __signature__: inspect.Signature

    def __new__(cls, of: Forward | Backward) -> Compiled:
        made = super().__new__(cls, of.function)
        made.of = of
        made.__name__, made.__doc__ = of.name, of.doc
        made.__signature__ = of.signature
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Compiled, (self.of,)


class Forward:
    """The forward pass of a derivation, running its generated source."""

    name = "forward"

    def __init__(self, derived: Derived) -> None:
        self.derived = derived
        self.origin = derived.origin
        self.program: Program = derived.backward.program
        self.sizes = self.program.sizes
        self.asked = [self.program.inputs.index(tensor) for tensor in derived.backward.wrt]
        self.module = load_module(derived.source("numpy"), "derivation")
        self.names = tuple(name for name, _ in self.origin.parameters)
        wanted = inspect.signature(self.module.forward).parameters.values()
        preface = Preface(derived.said, derived.asserted)
        self.keywords = size_keywords(derived.backward, wanted, preface)
        self.positions = positions(self.program)
        self.seen: set[Any] = set()
        self.watched: set[Any] = set()  # those of the seen whose integers are looked at each time
        self.doc = inspect.getdoc(Derived.compile)
        self.arguments = Arguments(self.names, self.sizes)
        self.signature = self.arguments.signature
        self.known: dict[Hashable, type[Cache]] = {}  # what is called the short way
        self.is_simple = (
            isinstance(self.origin.structure, Leaf)
            and all(isinstance(structure, Leaf) for _, structure in self.origin.parameters)
            and not (self.sizes or self.origin.variadic)
        )
        self.function: Callable[..., Any] = self
        if self.is_simple:
            run = self.checked if self.positions or self.origin.constants else self.module.forward
            self.function = quick.forward_of(len(self.names), run, self.known, self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Forward, (self.derived,)

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Cache]:
        """The result for any arguments, which are bound and checked; where they are nothing but
        arrays, the next ones of their shapes and dtypes go the short way.
        """
        plain = not (kwargs or self.sizes or self.origin.variadic or len(args) != len(self.names))
        sizes: Mapping[str, Any] = {}
        if plain:
            values = list(args)
        else:
            args, kwargs = self.gathered(args, kwargs)
            values, sizes = self.arguments.bind(args, kwargs, "the forward pass")
        given = [
            leaf
            for value, (name, structure) in zip(values, self.origin.parameters, strict=True)
            for leaf in _leaves(value, structure, name, static=True)
        ]
        if any(map(is_traced, given)):
            raise _refused_in_trace()
        arrays = [plain_array(leaf, "an argument") for leaf in given]
        key = (*((array.shape, array.dtype) for array in arrays), *sizes.values())
        if key not in self.seen:
            solved = self.check(arrays, sizes)
            if self.origin.notated and is_watched(self.program, solved):
                self.watched.add(key)
            self.seen.add(key)
        every = (*arrays, *self.origin.constants)
        if self.positions:
            check_lookups(self.positions, self.program, every)
        named = {word: sizes[name] for word, name in self.keywords.items()}
        if key in self.watched:
            check_integers(self.program, every)
        found, saved = self.module.forward(*every, **named)
        outputs = found if len(self.program.outputs) != 1 else (found,)
        like = tuple((np.shape(out), out.dtype) for out in outputs)
        make = _caches(like, tuple(every[n].dtype for n in self.asked))
        if self.is_simple and plain and key not in self.watched and all(map(is_, arrays, args)):
            self.known[tuple(itertools.chain(*key))] = make
        return unflatten(self.origin.structure, map(_scalar, outputs)), make(saved)

    def checked(self, *arrays: Any) -> Any:
        """What the generated function gives for arrays of known shapes: positions are looked at in
        each call."""
        every = (*arrays, *self.origin.constants)
        if self.positions:
            check_lookups(self.positions, self.program, every)
        return self.module.forward(*every)

    def gathered(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with those that ``*xs`` and ``**more`` take put together."""
        parameter = inspect.Parameter
        rest = self.origin.variadic.get(parameter.VAR_POSITIONAL)
        if rest is not None and rest not in kwargs:
            place = self.names.index(rest)
            make = type(unflatten(dict(self.origin.parameters)[rest], itertools.repeat(None)))
            args, kwargs = args[:place], {**kwargs, rest: make(args[place:])}
        more = self.origin.variadic.get(parameter.VAR_KEYWORD)
        if more is not None and more not in kwargs:
            known = {*self.names, *self.sizes}
            own = {name: value for name, value in kwargs.items() if name not in known}
            kwargs = {n: v for n, v in kwargs.items() if n not in own} | {more: own}
        return args, kwargs

    def check(self, arrays: Sequence[Any], sizes: Mapping[str, int]) -> dict[str, int]:
        """Refuses arrays that the program is not for; gives the values of the sizes."""
        tensors = self.program.inputs[: len(arrays)]
        for tensor, array in zip(tensors, arrays, strict=True):
            check_kind(array, tensor, tensor.name)
        shapes = {t: tuple(a.shape) for t, a in zip(tensors, arrays, strict=True)}
        solved = solve_sizes(shapes, sizes)
        check_extents(self.program.statements, solved)
        check_work(self.program, solved)
        self.derived.compare(solved)
        return solved


class Backward:
    """The backward pass of a derivation, running its generated source."""

    name = "backward"

    def __init__(self, derived: Derived, forward: Forward) -> None:
        self.forward = forward
        self.origin = derived.origin
        outputs = derived.backward.program.outputs
        self.floats = [n for n, tensor in enumerate(outputs) if tensor.kind == "float"]
        self.run = backward_of(forward.module.backward, len(self.floats), len(derived.backward.wrt))
        self.names = tuple(name for name, _ in self.origin.asked)
        self.places = [show_path("dY", path) for path in paths(self.origin.structure)]
        self.doc = f"The gradients of {', '.join(self.names)}."
        self.signature = inspect.signature(self)
        self.function: Callable[..., Any] = self
        flat = all(isinstance(structure, Leaf) for _, structure in self.origin.asked)
        if flat and self.floats == [0] and isinstance(self.origin.structure, Leaf):
            run = forward.module.backward
            self.function = quick.backward_of(len(self.names), run, self.arranged, self, Cache)

    def __reduce__(self) -> tuple[Any, ...]:
        return Backward, (self.forward.derived, self.forward)

    def __call__(self, dY: Any, cache: Cache) -> Any:
        if not isinstance(cache, Cache):
            raise ArgumentError(
                "backward takes the cache that forward returned",
                expected="backward(dY, cache)",
                found=f"a {type(cache).__name__} for the cache",
            )
        gradients = self.run(self.seeds(dY, cache.outputs), cache)
        flat = zip(gradients, cache.gradients, strict=True)
        found = iter([gradient.astype(dtype, copy=False) for gradient, dtype in flat])
        return self.arranged(
            [
                unflatten(
                    structure,
                    [next(found) for _ in range(count(structure))],
                    static=False,
                    conjugate=True,
                )
                for _, structure in self.origin.asked
            ]
        )

    def arranged(self, gradients: Sequence[Any]) -> Any:
        """A single gradient comes bare, several come by name, too."""
        return gradients[0] if len(gradients) == 1 else Gradients.of(self.names, gradients)

    def seeds(self, dY: Any, like: Sequence[Any]) -> tuple[Any, ...]:
        """The cotangents as arrays."""
        given = _leaves(dY, self.origin.structure, "dY", conjugate=True)
        seeds = []
        for n, (value, place) in enumerate(zip(given, self.places, strict=True)):
            if n in self.floats:
                shape, dtype = like[n]
                seeds.append(like_primal(value, shape, dtype, place, "Y"))
            else:
                check_nothing(value, place, "Y")
        return tuple(seeds)


def _refused_in_trace() -> UnsupportedError:
    """A compiled forward pass runs its source on arrays; the trace that called it fails."""
    error = UnsupportedError(
        "what a derivation compiles to can't be called on traced arrays",
        expected="arrays",
        hint="inside a traced function call the function itself, or one of pullback.define, and "
        "pullback.vjp of it for its gradients",
    )
    refuse_around(error)
    return error


def _leaves(
    tree: Any, structure: Structure, name: str, static: bool = False, conjugate: bool = False
) -> list[Any]:
    """The leaves of a tree of a known structure."""
    if isinstance(structure, Leaf):
        return [tree]
    return matched(tree, structure, name, "what was derived for", static, conjugate)


def _scalar(value: Any) -> Any:
    return value[()] if type(value) is np.ndarray and value.ndim == 0 else value

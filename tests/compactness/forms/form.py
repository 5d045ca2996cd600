"""A forward pass, the same in index notation, and its backward pass as an expert writes it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, tuple[int, ...], int], Array]

SIZES: dict[str, int] = {
    "N": 60,
    "M": 50,
    "D": 40,
    "C": 30,
    "K": 20,
    "H": 28,
    "T": 36,
    "E": 24,
    "L": 44,
    "B": 10,
}


def _matrix(rng: np.random.Generator, shape: tuple[int, ...], top: int) -> Array:
    root = rng.normal(size=shape) / math.sqrt(shape[-1])
    return root @ root.swapaxes(-1, -2) + np.eye(shape[-1])


def _simplex(rng: np.random.Generator, shape: tuple[int, ...], top: int) -> Array:
    found = rng.uniform(0.2, 1.0, size=shape)
    return found / found.sum(axis=-1, keepdims=True)


def _upper(rng: np.random.Generator, shape: tuple[int, ...], top: int) -> Array:
    return np.triu(rng.normal(size=shape)) + 2 * np.eye(shape[-1])


DRAWS: dict[str, Draw] = {
    "": lambda rng, shape, top: rng.normal(size=shape),
    "small": lambda rng, shape, top: 0.2 * rng.normal(size=shape),
    "+": lambda rng, shape, top: rng.uniform(0.5, 1.5, size=shape),
    "unit": lambda rng, shape, top: rng.uniform(0.1, 0.9, size=shape),
    "binary": lambda rng, shape, top: rng.integers(0, 2, size=shape).astype(float),
    "sign": lambda rng, shape, top: rng.choice([-1.0, 1.0], size=shape),
    "rows": _simplex,
    "positive definite": _matrix,
    "triangle": _upper,
    "ascending": lambda rng, shape, top: np.sort(rng.uniform(0, shape[0], size=shape)),
    "permutation": lambda rng, shape, top: rng.permutation(shape[0]),
    "int": lambda rng, shape, top: rng.integers(0, top, size=shape),
}


@dataclass(frozen=True)
class Input:
    """An argument: its shape in named sizes, and how it is drawn."""

    name: str
    shape: str
    draw: str
    top: str = ""

    @property
    def declared(self) -> str:
        """The line that declares it in index notation."""
        return f"{self.name}{': int' if self.whole else ''}[{', '.join(self.shape.split())}]"

    @property
    def whole(self) -> bool:
        """Whether its elements are integers."""
        return self.draw in ("int", "permutation")

    def extents(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(extent(s, sizes) for s in self.shape.split())


def extent(size: str, sizes: Mapping[str, int]) -> int:
    """The number a product of names and numbers comes to.

    >>> extent("8*C", {"C": 3})
    24
    """
    return math.prod(int(p) if p.isdigit() else sizes[p] for p in size.split("*"))


def inputs_of(spec: str) -> tuple[Input, ...]:
    """The arguments of a line: ``X[N D]``; ``y[N]:C``, integers below C; ``P[N C]rows``.

    >>> inputs_of("y[N]:C")
    (Input(name='y', shape='N', draw='int', top='C'),)
    """
    found = []
    for name, shape, kind in re.findall(r"(\w+)\[([^\]]*)\](\S*)", spec):
        draw, _, top = kind.partition(":")
        found.append(Input(name, shape, "int" if top else draw.replace("_", " "), top))
    return tuple(found)


@dataclass
class Form:
    """One form. ``text`` is its index notation, if it is given in both; ``source`` says where it
    stands. The published pass is a generator: it yields the output, is sent the upstream gradient
    and returns the gradients by name."""

    title: str
    source: str
    inputs: tuple[Input, ...]
    forward: FunctionType
    text: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    published: FunctionType | None = None

    def __str__(self) -> str:
        return self.forward.__name__

    def arrays(self, seed: int = 0) -> dict[str, Array]:
        """Inputs at the sizes of the measurement."""
        rng = np.random.default_rng(seed)
        sizes = {**SIZES, **self.sizes}
        return {
            i.name: DRAWS[i.draw](rng, i.extents(sizes), extent(i.top, sizes) if i.top else 0)
            for i in self.inputs
        }

    @property
    def program(self) -> str:
        """The index notation with its inputs declared."""
        return "\n".join([*(i.declared for i in self.inputs), self.text])

    def shapes(self) -> dict[str, str]:
        """Shapes in named sizes, as ``derive`` takes them."""
        return {i.name: i.shape + (": int64" if i.whole else "") for i in self.inputs}


FORMS: dict[str, Form] = {}


def form(
    title: str, source: str, spec: str, text: str = "", **sizes: int
) -> Callable[[FunctionType], FunctionType]:
    """Enters a forward pass into the table."""

    def enter(forward: FunctionType) -> FunctionType:
        assert forward.__name__ not in FORMS, forward.__name__
        FORMS[forward.__name__] = Form(title, source, inputs_of(spec), forward, text, sizes)
        return forward

    return enter


def published(forward: FunctionType) -> Callable[[FunctionType], FunctionType]:
    """Enters the backward pass of a form."""

    def enter(backward: FunctionType) -> FunctionType:
        FORMS[forward.__name__].published = backward
        return backward

    return enter

"""What a layer is: a definition in index notation, made from options. No gradient anywhere."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..ir.expr import Tensor
from ..ir.program import Program, solve_sizes
from ..runtime.cotangents import as_given
from ..runtime.derived import Derived
from ..runtime.formulas import derive_formula
from ..runtime.notated import Formula, text_formula
from ..trees import is_traced
from .draw import draw

Array = np.ndarray[Any, Any]
Form = int | tuple[int, ...]  # what a definition depends on: the first input's rank, or its shape


@dataclass(frozen=True)
class Definition:
    """What a layer's options come to.

    ``text`` is the forward pass in index notation; its first input is what flows in. ``parameters``
    names the inputs that are learned, each with how it starts (see :func:`~.draw.draw`), e.g.
    ``{"W": "scaled", "b": "zeros"}``. ``least`` are named sizes that must be so large at least,
    e.g. for a window to fit.
    """

    text: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """Options and arrays to try a layer at.

    ``shapes`` are the inputs' shapes, ``draws`` how the values of some are drawn (see
    :func:`~.draw.draw`; ``normal`` if not said).
    """

    shapes: Mapping[str, tuple[int, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    draws: Mapping[str, str] = field(default_factory=dict)

    def arrays(self, seed: int = 0, dtype: str = "float64") -> dict[str, Array]:
        """The inputs, drawn anew for each seed."""
        rng = np.random.default_rng(seed)
        return {
            name: draw(self.draws.get(name, "normal"), rng, shape, dtype)
            for name, shape in self.shapes.items()
        }


@dataclass(frozen=True)
class Kind:
    """A row of the table: a layer before its options are given; call it with them.

    ``build(rank, **options)`` makes the definition for a first input of ``rank`` axes; where its
    first parameter is called ``shape``, for a first input of that shape. ``rank`` is the usual
    rank; where an option counts axes, one more of them makes it ``per_dim`` more.
    ``notes`` say how edges, ties and degenerate inputs are decided: they are
    published. ``examples`` are what the layer is tested and shown at, the first one in the book.
    """

    name: str
    title: str
    group: str
    build: Callable[..., Definition]
    rank: int
    examples: tuple[Example, ...]
    notes: tuple[str, ...] = ()
    per_dim: int = 1
    _pullback_reads: ClassVar = ("name", "build", "rank", "per_dim")

    def __post_init__(self) -> None:
        """What ``help`` shows of the row: what the layer does, its options, its notes."""
        object.__setattr__(self, "__doc__", _help(self))

    def __reduce__(self) -> Any:
        if LAYERS.get(self.name) is self:
            return _kind, (self.build.__module__, self.name)
        return super().__reduce__()

    @property
    def options(self) -> dict[str, Any]:
        """The options and their defaults."""
        found = list(inspect.signature(self.build).parameters.values())[1:]
        return {p.name: p.default for p in found}

    @property
    def shaped(self) -> bool:
        """Whether the definition depends on the first input's shape, not only on its rank."""
        return next(iter(inspect.signature(self.build).parameters)) == "shape"

    def form(self, shape: tuple[int, ...]) -> Form:
        """What the definition for a first input of this shape depends on."""
        return shape if self.shaped else len(shape)

    @property
    def summary(self) -> str:
        """The first line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").partition("\n")[0]

    def __call__(self, **options: Any) -> Layer:
        """The layer with these options."""
        for name in options:
            if name not in self.options:
                raise ArgumentError(
                    f"{self.name} has no option {name}",
                    expected=f"one of {', '.join(self.options) or 'none'}",
                    found=name,
                )
        made = Layer(self, {**self.options, **options})
        made.definition(made.usual)  # refuses options that mean nothing
        return made


def _help(kind: Kind) -> str:
    """The docstring of a row: its builder's, then each option with its default, then the notes."""
    options = [
        f"    {name}{' (required)' if value is inspect.Parameter.empty else f' = {value!r}'}"
        for name, value in kind.options.items()
    ]
    parts = [
        inspect.getdoc(kind.build) or kind.title,
        "\n".join(["Options:", *options]) if options else "It has no options.",
        "\n".join(["Notes:", *(f"    {note}" for note in kind.notes)]) if kind.notes else "",
    ]
    return "\n\n".join(part for part in parts if part)


class Layer:
    """A layer with its options: a function of arrays that is differentiated like any other.

    >>> from pullback import layers
    >>> relu = layers.relu()
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])

    It can be called inside functions that are differentiated, with :func:`pullback.grad` and its
    kin. ``text`` is its definition, ``parameters`` names what is learned.
    """

    _pullback_reads = ("kind", "options", "_name")  # what it depends on, see runtime.captured

    def __init__(self, kind: Kind, options: Mapping[str, Any], name: str = "") -> None:
        self.kind = kind
        self.options = dict(options)
        self._name = name
        self._definitions: dict[Form, Definition] = {}
        self._formulas: dict[Form, Formula] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Layer, (self.kind, self.options, self._name)

    def __repr__(self) -> str:
        given = {n: v for n, v in self.options.items() if v != self.kind.options[n]}
        return f"{self.kind.name}({', '.join(f'{n}={v!r}' for n, v in given.items())})"

    def named(self, name: str) -> Layer:
        """The same layer; inside a traced function its result is called ``name``."""
        return Layer(self.kind, self.options, name)

    @property
    def usual(self) -> Form:
        """The usual rank; options ``dims`` and ``axes`` count axes of the input.

        Where definitions depend on the shape, that of the first example with as many spatial axes,
        enlarged where it is too small for the options.
        """
        if self.kind.shaped:
            return self._usual_shape
        more = 0
        for name in ("dims", "axes"):
            value = self.options.get(name)
            more += value - self.kind.options[name] if type(value) is int else 0
        return self.kind.rank + more * self.kind.per_dim

    @cached_property
    def _usual_shape(self) -> tuple[int, ...]:
        dims = self.options.get("dims")
        found = [
            next(iter(example.shapes.values()))
            for example in self.kind.examples
            if example.options.get("dims", self.kind.options.get("dims")) == dims
        ]
        shape = (found or [next(iter(self.kind.examples[0].shapes.values()))])[0]
        try:
            self.definition(shape)
        except ShapeError:
            return tuple(64 * n for n in shape)
        return shape

    @property
    def text(self) -> str:
        """The definition for an input of the usual rank, or shape."""
        return self.definition(self.usual).text

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what is learned."""
        return tuple(self.definition(self.usual).parameters)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of all inputs, in order; the first one is what flows in."""
        return self.formula(self.usual).inputs

    def definition(self, form: Form) -> Definition:
        """The definition for a first input of this rank, or shape (see :meth:`Kind.form`)."""
        if form not in self._definitions:
            self._definitions[form] = self.kind.build(form, **self.options)
        return self._definitions[form]

    def formula(self, form: Form) -> Formula:
        """The definition as a function of arrays."""
        if form not in self._formulas:
            formula = text_formula(self.definition(form).text, {})
            self._formulas[form] = formula.named(self._name)
        return self._formulas[form]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass of arrays, by position or name."""
        first: Any = args[0] if args else kwargs.get(self.inputs[0])
        if first is None:
            return self.formula(self.usual)(*args, **kwargs)  # refuses what is missing
        shape = np.shape(first if is_traced(first) else as_given(first, self.inputs[0]))
        return self.fitting(tuple(shape))(*args, **kwargs)

    def fitting(self, shape: tuple[int, ...]) -> Formula:
        """The formula for a first input of this shape; raises ShapeError where that is less than
        the least that means something."""
        form = self.kind.form(shape)
        formula, least = self.formula(form), self.definition(form).least
        if least:
            (tensor, *_) = formula.program.inputs
            sizes = solve_sizes({tensor: shape})
            for name, n in least.items():
                if sizes.get(name, n) < n:
                    raise ShapeError(
                        f"{name} is too small for {self!r}",
                        where=f"argument {tensor.name}",
                        expected=f"{name} >= {n}",
                        found=f"{name} = {sizes[name]}",
                    )
        return formula

    def derive(
        self,
        form: Form | None = None,
        wrt: Sequence[str] | None = None,
        conventions: Mapping[str, str] | None = None,
    ) -> Derived:
        """The derivation of the backward pass, by all float inputs or those named in ``wrt``.

        ``form`` is the first input's rank or shape (see :meth:`Kind.form`), the usual one if not
        given.
        """
        formula = self.formula(self.usual if form is None else form)
        return derive_formula(formula, wrt, conventions or {}, {}).saving("balanced")

    def init(
        self, rng: np.random.Generator, *shape: int, dtype: str = "float64"
    ) -> dict[str, Array]:
        """Parameters to start from, for a first input of this shape.

        Raises ShapeError where the shape doesn't fit, ArgumentError where options leave a
        parameter's size open.
        """
        definition, program = self.definition(self.kind.form(shape)), self.fitting(shape).program
        sizes = solve_sizes({program.inputs[0]: shape})
        return {
            name: draw(how, rng, _solved(self, _input(program, name), sizes), dtype)
            for name, how in definition.parameters.items()
        }


def _input(program: Program, name: str) -> Tensor:
    return next(tensor for tensor in program.inputs if tensor.name == name)


def _solved(layer: Layer, tensor: Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A parameter's shape."""
    for extent in tensor.shape:
        for name in extent.names():
            if name not in sizes:
                raise ArgumentError(
                    f"the size of {tensor.name} is open",
                    where=repr(layer),
                    expected=f"an option that says how large {name} is",
                    found=f"{tensor.name}[{', '.join(map(str, tensor.shape))}]",
                )
    return tuple(extent.value(sizes) for extent in tensor.shape)


LAYERS: dict[str, Kind] = {}


def _kind(module: str, name: str) -> Kind:
    """A row of the table, which the module enters."""
    import_module(module)
    return LAYERS[name]


def layer(
    group: str,
    *examples: Example,
    title: str = "",
    rank: int = 2,
    notes: tuple[str, ...] = (),
    per_dim: int = 1,
) -> Callable[[Callable[..., Definition]], Kind]:
    """Enters a layer into the table: decorates its builder, ``build(rank, **options)``.

    A layer of one's own, in the table like the others:

    >>> from pullback.layers import Definition, Example, Kind, layer
    >>> @layer("mine", Example({"X": (4, 5)}))
    ... def swish(rank, beta=1.0):
    ...     'x*sigmoid(beta*x)'
    ...     return Definition(f"Y[i,j] = X[i,j]*sigmoid({beta}*X[i,j])")
    >>> isinstance(swish, Kind)
    True
    >>> del LAYERS["swish"]
    """

    def enter(build: Callable[..., Definition]) -> Kind:
        name = build.__name__
        if name in LAYERS:
            raise ArgumentError(f"there is a layer {name} already")
        shown = title or name.replace("_", " ")
        made = Kind(name, shown, group, build, rank, examples, notes, per_dim)
        LAYERS[name] = made
        return made

    return enter

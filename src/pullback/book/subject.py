"""What a page of the book is about: a layer, or a function of one's own, at an example."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

from ..api import derive
from ..derivation import Derivation
from ..errors import ArgumentError
from ..ir.expr import Tensor
from ..layers import LAYERS, Example, Kind, Layer
from ..layers.lessons import LESSONS, Lesson
from .case import Case, case

# Groups in the order of the book; those of users come last.
GROUPS = {
    "activations": "Activations",
    "windowed": "Windows",
    "normalisation": "Normalisation",
    "restructuring": "Restructuring",
    "losses": "Losses",
    "matrix": "Matrices",
    "recurrent": "Recurrent",
    "gates": "Gates",
}
OWN = "Of your own"
SHIPPED = Kind.__module__.rpartition(".")[0]
DRAWS = {"int": "below 2", "bool": "mask"}

Wanted = str | Kind | Layer | Callable[..., Any]

NO_LESSON = Lesson("")


@dataclass(frozen=True)
class Subject:
    """What a page says of its layer that no derivation tells.

    ``text`` is its definition as it was written, in the language ``written``; ``examples`` are what
    it is checked at, the first one on the page; ``options`` holds each option with its default and
    what the examples try. ``shipped`` tells whether any process finds it in the table by name.
    """

    name: str
    title: str
    group: str
    summary: str
    text: str
    written: str
    examples: tuple[Example, ...]
    derive: Callable[[], Derivation]
    about: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    options: tuple[tuple[str, str, str], ...] = ()
    shipped: bool = False
    lesson: Lesson = NO_LESSON
    small: Callable[[], Derivation] | None = None

    @property
    def example(self) -> Example:
        """The example of the page."""
        return self.examples[0]

    @cached_property
    def derived(self) -> Derivation:
        """Its derivation."""
        return self.derive()

    @cached_property
    def taught(self) -> Derivation:
        """The derivation that the page explains: that of the textbook's definition, where the
        layer's own takes more care for rounding."""
        return derive(self.lesson.text) if self.lesson.text else self.derived

    @cached_property
    def case(self) -> Case | None:
        """The numbers of the page; None where there are none that are small enough."""
        derived = self.taught if self.small is None else self.small()
        return case(derived, self.example, self.lesson.numbers, self.lesson.upstream)


def subjects(wanted: Sequence[Wanted] = ()) -> tuple[Subject, ...]:
    """What is wanted, by name, as a layer or as a function, in the order of the book.

    All layers of the table if nothing is. Raises ArgumentError for a name that no layer has, and
    for a function that no example can be drawn for.
    """
    found = [_subject(one) for one in wanted or LAYERS]
    order = [*GROUPS.values(), *dict.fromkeys(s.group for s in found)]
    return tuple(sorted(found, key=lambda subject: order.index(subject.group)))


def _subject(wanted: Wanted) -> Subject:
    if isinstance(wanted, Kind):
        return of_kind(wanted)
    if isinstance(wanted, Layer):
        return of_layer(wanted)
    if callable(wanted):
        return of_function(wanted)
    if wanted not in LAYERS:
        raise ArgumentError(
            f"there is no layer {wanted}", expected=f"one of {', '.join(LAYERS)}", found=wanted
        )
    return of_kind(LAYERS[wanted])


def of_kind(kind: Kind) -> Subject:
    """A layer of the table, at its first example; where its lesson writes another definition, at
    the lesson's options."""
    lesson = LESSONS.get(kind.name, NO_LESSON)
    shapes = {name: np.shape(value) for name, value in lesson.numbers.items()}
    example = kind.examples[0]
    if lesson.text and lesson.options:
        example = Example(shapes, lesson.options, example.draws)
    layer = kind(**example.options)
    form = kind.form(example.shapes[layer.inputs[0]])
    own = kind(**lesson.options) if lesson.numbers else layer
    small = kind.form(shapes[own.inputs[0]]) if lesson.numbers else form
    words = _paragraphs(kind.build)
    same = bool(lesson.text) or (own.options, small) == (layer.options, form)
    return Subject(
        kind.name,
        kind.title,
        GROUPS.get(kind.group, kind.group.capitalize()),
        "".join(words[:1]),
        layer.definition(form).text,
        "index notation",
        kind.examples if example is kind.examples[0] else (example, *kind.examples),
        lambda: layer.derive(form),
        words[1:],
        kind.notes,
        tuple((name, _spelled(v), _tried(kind, name)) for name, v in kind.options.items()),
        kind.build.__module__.startswith(f"{SHIPPED}."),
        lesson,
        None if same else lambda: own.derive(small),
    )


def _paragraphs(function: Callable[..., Any]) -> tuple[str, ...]:
    """The paragraphs of a docstring, each on one line."""
    whole = inspect.getdoc(function) or ""
    return tuple(" ".join(part.split()) for part in whole.split("\n\n") if part.strip())


def _tried(kind: Kind, option: str) -> str:
    """The values of an option in the examples."""
    default = kind.options[option]
    values = (example.options.get(option, default) for example in kind.examples)
    return ", ".join(dict.fromkeys(map(_spelled, values)))


def _spelled(value: Any) -> str:
    return "required" if value is inspect.Parameter.empty else repr(value)


def of_layer(layer: Layer) -> Subject:
    """A layer with options of one's own, at arrays drawn for it."""
    derived, taught = layer.derive(), LESSONS.get(layer.kind.name, NO_LESSON)
    given = {n: v for n, v in layer.options.items() if v != layer.kind.options[n]}
    return replace(
        of_kind(layer.kind),
        group=OWN,
        text=layer.text,
        examples=(replace(_drawn(derived.backward.program.inputs), options=given),),
        derive=lambda: derived,
        shipped=False,
        lesson=replace(taught, numbers={}, upstream=None, text=""),
        small=None,
    )


def of_function(function: Callable[..., Any]) -> Subject:
    """A NumPy function whose parameters are annotated with their shapes."""
    name = getattr(function, "__name__", "function")
    derived = derive(function)
    program = derived.backward.program
    open_ = [t.name for t in program.inputs if t.name not in inspect.signature(function).parameters]
    if open_:
        raise ArgumentError(
            f"no example can be drawn for {name}",
            expected="a function whose arrays are all parameters, each one array",
            found=f"{', '.join(open_)} beside them",
        )
    words = _paragraphs(function)
    return Subject(
        name,
        name.replace("_", " "),
        OWN,
        "".join(words[:1]),
        inspect.getsource(function).rstrip(),
        "NumPy",
        (_drawn(program.inputs),),
        lambda: derived,
        words[1:],
    )


def _drawn(inputs: Sequence[Tensor]) -> Example:
    """An example of inputs, their named sizes 3, 4, 5 and so on."""
    names = dict.fromkeys(n for t in inputs for extent in t.shape for n in extent.names())
    sizes = dict(zip(names, count(3), strict=False))
    shapes = {t.name: tuple(n.value(sizes) for n in t.shape) for t in inputs}
    return Example(shapes, draws={t.name: DRAWS[t.kind] for t in inputs if t.kind in DRAWS})

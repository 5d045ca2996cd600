"""What a page of the book is about: a layer at an example."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import ArgumentError
from ..layers import LAYERS, Example, Kind
from ..runtime.derived import Derived

LAYERS_PACKAGE = Kind.__module__.rpartition(".")[0]

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


@dataclass(frozen=True)
class Subject:
    """A layer with the example that its page shows: the first one of its kind."""

    kind: Kind

    @property
    def name(self) -> str:
        """The layer's name, which is also that of its page."""
        return self.kind.name

    @property
    def title(self) -> str:
        """What the layer is called."""
        return self.kind.title

    @property
    def group(self) -> str:
        """The title of its group."""
        return GROUPS.get(self.kind.group, self.kind.group.capitalize())

    @property
    def shipped(self) -> bool:
        """Whether it is in the package's own table, where other processes find it by name."""
        return self.kind.build.__module__.startswith(f"{LAYERS_PACKAGE}.")

    @property
    def example(self) -> Example:
        """The example of the page."""
        return self.kind.examples[0]

    @cached_property
    def text(self) -> str:
        """Its definition at the example, in index notation."""
        return self.kind(**self.example.options).definition(self.rank).text

    @cached_property
    def rank(self) -> int:
        """The rank of what flows in."""
        layer = self.kind(**self.example.options)
        return len(self.example.shapes[layer.inputs[0]])

    @cached_property
    def derived(self) -> Derived:
        """Its derivation."""
        return self.kind(**self.example.options).derive(self.rank)

    @property
    def about(self) -> tuple[str, ...]:
        """The paragraphs of its docstring after the first line."""
        _, _, rest = (inspect.getdoc(self.kind.build) or "").partition("\n")
        return tuple(" ".join(part.split()) for part in rest.split("\n\n") if part.strip())

    @property
    def options(self) -> tuple[tuple[str, str, str], ...]:
        """Each option with its default and what the examples try."""
        return tuple(
            (name, _spelled(default), ", ".join(self._tried(name)))
            for name, default in self.kind.options.items()
        )

    def _tried(self, name: str) -> tuple[str, ...]:
        default = self.kind.options[name]
        values = (example.options.get(name, default) for example in self.kind.examples)
        return tuple(dict.fromkeys(map(_spelled, values)))


def _spelled(value: Any) -> str:
    return "required" if value is inspect.Parameter.empty else repr(value)


def subjects(wanted: Sequence[str | Kind] = ()) -> tuple[Subject, ...]:
    """The layers of the table, or those wanted by name, in the order of the book.

    Raises ArgumentError for a name that no layer has.
    """
    found = [_kind(name) for name in wanted] or list(LAYERS.values())
    order = [*GROUPS, *dict.fromkeys(k.group for k in found if k.group not in GROUPS)]
    return tuple(Subject(kind) for kind in sorted(found, key=lambda k: order.index(k.group)))


def _kind(name: str | Kind) -> Kind:
    if isinstance(name, Kind):
        return name
    if name not in LAYERS:
        raise ArgumentError(
            f"there is no layer {name}", expected=f"one of {', '.join(LAYERS)}", found=name
        )
    return LAYERS[name]

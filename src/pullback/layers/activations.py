"""Activations: element-wise, and the softmax."""

from __future__ import annotations

from .layer import Definition, Example, layer
from .writing import letters

SHAPES = (Example({"X": (4, 5)}), Example({"X": (3,)}), Example({"X": (2, 3, 2, 2)}))


@layer("activations", *SHAPES, title="ReLU", notes=("the gradient at 0 is 0",))
def relu(rank: int) -> Definition:
    """max(x, 0), element by element."""
    i = letters(rank)
    return Definition(f"Y[{i}] = maximum(X[{i}], 0)")

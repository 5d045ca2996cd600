"""The layers of the reference: each its definition, options and example shapes.

>>> from pullback import layers
>>> layers.relu().text
'Y[i,j] = maximum(X[i,j], 0)'

``LAYERS`` is the table of all of them, by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..text import nearest
from .layer import LAYERS, Definition, Example, Kind, Layer, layer
from .lessons import meant
from .network import Network
from .optimisers import Optimiser, adam, momentum, sgd

GROUPS = (
    "activations",
    "losses",
    "windowed",
    "restructuring",
    "matrix",
    "gates",
    "normalisation",
    "recurrent",
)

for _group in GROUPS:
    import_module(f"{__name__}.{_group}")

__all__ = [
    "LAYERS",
    "Definition",
    "Example",
    "Kind",
    "Layer",
    "Network",
    "Optimiser",
    "adam",
    "layer",
    "momentum",
    "sgd",
    *LAYERS,
]


def __getattr__(name: str) -> Any:
    if name in LAYERS:
        return LAYERS[name]
    close = [meant(name)] if meant(name) else [] if name.startswith("_") else nearest(name, LAYERS)
    hint = f"; did you mean {' or '.join(f'layers.{other}' for other in close)}?" if close else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")

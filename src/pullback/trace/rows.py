"""The tables of what can be traced: a row says what a NumPy function is in index notation.

A row of ``ROWS`` is a builder: it takes the sheet and the function's own arguments (as far as they can be
traced) and gives a :class:`Value`, several, or something static such as a shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Builder = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """How one NumPy function is traced. ``view``: NumPy's result may share memory with its argument."""

    name: str
    build: Builder
    view: bool = False


ROWS: dict[Any, Row] = {}


def row(*functions: Any, view: bool = False) -> Callable[[Builder], Builder]:
    """Enters a builder for NumPy functions."""

    def enter(build: Builder) -> Builder:
        for function in functions:
            ROWS[function] = Row(public_name(function), build, view)
        return build

    return enter


def public_name(function: Any) -> str:
    """A library function's name as a user writes it.

    >>> import numpy as np
    >>> public_name(np.linalg.norm), public_name(np.sum)
    ('np.linalg.norm', 'np.sum')
    """
    module = str(getattr(function, "__module__", "") or "numpy")
    name = str(getattr(function, "__name__", function))
    public = ".".join(part for part in module.split(".") if not part.startswith("_"))
    if isinstance(function, type(public_name)) or public:
        public = {"numpy": "np"}.get(public, public.replace("numpy.", "np.", 1))
    return f"{public}.{name}"

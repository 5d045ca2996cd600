"""Generated source becomes a function."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view as WINDOWS

from ..errors import UnsupportedError

_COUNT = itertools.count(1)


def load_module(source: str, name: str = "generated") -> ModuleType:
    """A fresh module made of generated source; tracebacks and ``inspect`` show its lines.

    ``source`` must come from one of the backends: it is executed. Windows that don't fit into their
    array are no windows here, where NumPy refuses them. Raises UnsupportedError where a library
    that it imports is missing (special functions are SciPy's).

    >>> load_module("def double(x):\\n    return 2 * x\\n").double(4)
    8
    """
    file = f"<pullback {name} {next(_COUNT)}>"
    module = ModuleType(f"pullback_{name}")
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    try:
        exec(compile(source, file, "exec"), module.__dict__)
    except ModuleNotFoundError as error:
        library = str(error.name or "").partition(".")[0]
        raise UnsupportedError(
            f"the source imports {error.name}, which is not installed",
            hint=f"pip install {library}",
        ) from error
    if WINDOWS.__name__ in module.__dict__:
        setattr(module, WINDOWS.__name__, windows)
    return module


def windows(x: Any, window_shape: Any, axis: Any) -> Any:
    """``sliding_window_view`` that gives an empty array where a window is longer than its axis.

    >>> windows(np.ones((4, 2)), 3, axis=1).shape
    (4, 0, 3)
    """
    widths = np.atleast_1d(window_shape).tolist()
    shape = [*x.shape]
    for one, width in zip(np.atleast_1d(axis).tolist(), widths, strict=True):
        shape[one] = max(shape[one] - width + 1, 0)
    if 0 in shape:
        return np.empty((*shape, *widths), x.dtype)
    return WINDOWS(x, window_shape, axis=axis)


def load(source: str, name: str) -> Callable[..., Any]:
    """The function ``name`` that generated source defines.

    >>> load("def double(x):\\n    return 2 * x\\n", "double")(4)
    8
    """
    found: Callable[..., Any] = getattr(load_module(source, name), name)
    return found

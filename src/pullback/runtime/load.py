"""Generated source becomes a function."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from types import ModuleType
from typing import Any

_COUNT = itertools.count(1)


def load_module(source: str, name: str = "generated") -> ModuleType:
    """A fresh module made of generated source; tracebacks and ``inspect`` show its lines.

    ``source`` must come from one of the backends: it is executed.

    >>> load_module("def double(x):\\n    return 2 * x\\n").double(4)
    8
    """
    file = f"<pullback {name} {next(_COUNT)}>"
    module = ModuleType(f"pullback_{name}")
    module.__file__ = file
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def load(source: str, name: str) -> Callable[..., Any]:
    """The function ``name`` that generated source defines.

    >>> load("def double(x):\\n    return 2 * x\\n", "double")(4)
    8
    """
    found: Callable[..., Any] = getattr(load_module(source, name), name)
    return found

"""The short way of a compiled pair: arguments of shapes and dtypes that were checked before.

What is looked at in each call is written out for a number of arguments: a loop over them would take
longer than a small forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import asarray, ndarray

from .cotangents import like_primal

MOST = 32  # arguments of a forward pass
_DOUBLE = np.dtype(np.float64)
_MISSING = object()
_FORWARD = """
def maker(run, known, otherwise):
    def forward({defaults}/, *rest, **named):
        if {are_arrays} and not rest and not named:
            cache = known.get(({shapes}))
            if cache is not None:
                value, saved = run({parameters})
                if type(value) is ndarray and not value.shape:
                    value = value[()]
                return value, cache(saved)
        given = [one for one in ({parameters}) if one is not MISSING]
        return otherwise(*given, *rest, **named)

    return forward
"""


def forward_of(
    count: int,
    run: Callable[..., Any],
    known: Mapping[Hashable, Callable[[tuple[Any, ...]], Any]],
    otherwise: Callable[..., Any],
) -> Callable[..., Any]:
    """A forward pass of ``count`` arguments.

    Where these are arrays whose shapes and dtypes, one after the other, are ``known``, ``run`` is
    called. It gives a value and what the backward pass needs, of which a cache is made as is known.
    All other arguments go to ``otherwise``.
    """
    if not 0 < count <= MOST:
        return otherwise
    found: Callable[..., Any] = _maker(count)(run, known, otherwise)
    return found


@lru_cache(maxsize=MOST)
def _maker(count: int) -> Callable[..., Any]:
    names = [f"a{n}" for n in range(count)]
    source = _FORWARD.format(
        parameters="".join(f"{name}, " for name in names),
        defaults="".join(f"{name}=MISSING, " for name in names),
        are_arrays=" and ".join(f"type({name}) is ndarray" for name in names),
        shapes="".join(f"{name}.shape, {name}.dtype, " for name in names),
    )
    space: dict[str, Any] = {"ndarray": ndarray, "MISSING": _MISSING}
    exec(source, space)
    maker: Callable[..., Any] = space["maker"]
    return maker


def backward_of(
    count: int,
    run: Callable[..., Any],
    arrange: Callable[[list[Any]], Any],
    otherwise: Callable[[Any, Any], Any],
    kind: type[Any],
) -> Callable[[Any, Any], Any]:
    """A backward pass of one cotangent; where the ``count`` of gradients is more than one,
    ``arrange`` puts them together. What comes with no cache of this ``kind`` goes to ``otherwise``.
    """

    def backward(dY: Any, cache: Any) -> Any:
        if not isinstance(cache, kind):
            return otherwise(dY, cache)
        ((shape, dtype),), dtypes = cache.outputs, cache.gradients
        if type(dY) is float and dtype is _DOUBLE and not shape:
            dY = asarray(dY)
        elif type(dY) is not ndarray or dY.dtype is not dtype or dY.shape != shape:
            dY = like_primal(dY, shape, dtype, "dY", "Y")
        found = run(dY, cache)
        if count == 1:
            return found if found.dtype is dtypes[0] else found.astype(dtypes[0], copy=False)
        return arrange(
            [
                gradient if gradient.dtype is wanted else gradient.astype(wanted, copy=False)
                for gradient, wanted in zip(found, dtypes, strict=True)
            ]
        )

    return backward

"""What a derivation can do in the layers above it is registered here by them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError

if TYPE_CHECKING:
    from .derivation import Derivation

Spelling = Callable[["Derivation"], str]

BACKENDS: dict[tuple[str, str], Spelling] = {}
SERVICES: dict[str, Callable[..., Any]] = {}
# The module that registers what ships with the package; imported where something is asked for
# first.
_REGISTERS = "pullback.report.services"
_HOMES = {  # modules that register what is rarely asked for
    "jacobian": "pullback.jacobians.formula",
    "hessian": "pullback.jacobians.hessian",
    "derive_gradient": "pullback.jacobians.higher",
}


def register_backend(name: str, spell: Spelling, *, style: str = "compact") -> None:
    """Makes ``Derivation.source(name, style=style)`` give ``spell(derivation)``."""
    BACKENDS[name, style] = spell


def register_service(name: str, function: Callable[..., Any]) -> None:
    """Makes a derivation able to do what lives in a higher layer.

    ``check_steps(backward, seed)`` gives one :class:`Check` a step, ``check(derivation, seed)``
    named checks of the whole, ``compile(derivation)`` a :class:`Pair`; ``text``, ``markdown``,
    ``html`` and ``terminal`` show a derivation; ``jacobian(derivation, output, wrt)`` gives the
    formula of a Jacobian.
    """
    SERVICES[name] = function


def service(name: str) -> Callable[..., Any]:
    """What was registered under a name."""
    if name not in SERVICES:
        import_module(_HOMES.get(name, _REGISTERS))
    return SERVICES[name]


def spelling(backend: str, style: str) -> Spelling:
    """What writes source. Raises ArgumentError where nothing does."""
    named = isinstance(backend, str) and isinstance(style, str)
    if named and (backend, style) not in BACKENDS:
        import_module(_REGISTERS)
    if not named or (backend, style) not in BACKENDS:
        known = ", ".join(f'source("{name}", style="{kind}")' for name, kind in BACKENDS)
        raise ArgumentError(
            "no such source is written", expected=known, found=f"{backend!r}, {style!r}"[:80]
        )
    return BACKENDS[backend, style]

"""pullback: a forward pass in, its backward pass out, in compact closed form and checked.

>>> import numpy as np, pullback
>>> pullback.grad(lambda x: (x ** 2).sum())(np.array([1.0, 2.0]))
array([2., 4.])

Functions with JAX's names and signatures: :func:`grad`, :func:`value_and_grad`, :func:`vjp`,
:func:`jvp`. :func:`derive` gives the derivation to read, :func:`define` makes a function of index
notation, :func:`check_grads` and :func:`check_backward` check.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import layers as layers
    from .api import arrangements as arrangements
    from .api import define as define
    from .api import derive as derive
    from .derivation import Derivation as Derivation
    from .errors import ArgumentError as ArgumentError
    from .errors import CheckError as CheckError
    from .errors import DerivationError as DerivationError
    from .errors import LimitError as LimitError
    from .errors import NotationError as NotationError
    from .errors import PositionError as PositionError
    from .errors import PullbackError as PullbackError
    from .errors import ShapeError as ShapeError
    from .errors import TraceError as TraceError
    from .errors import UnsupportedError as UnsupportedError
    from .gradients import grad as grad
    from .gradients import jvp as jvp
    from .gradients import value_and_grad as value_and_grad
    from .gradients import vjp as vjp
    from .jacobians.functions import hessian as hessian
    from .jacobians.functions import hvp as hvp
    from .jacobians.functions import jacfwd as jacfwd
    from .jacobians.functions import jacobian as jacobian
    from .jacobians.functions import jacrev as jacrev
    from .jacobians.functions import linearize as linearize
    from .jacobians.operator import Jacobian as Jacobian
    from .runtime.bounds import limits as limits
    from .scans import scan as scan
    from .verify.gradients import check_grads as check_grads
    from .verify.written import check_backward as check_backward

__version__ = "0.1.0"

# Where each public name lives, None for a module. Nothing is imported before it is asked for.
_HOMES: dict[str, str | None] = {
    "layers": None,
    **dict.fromkeys(("arrangements", "define", "derive"), "api"),
    **dict.fromkeys(("grad", "jvp", "value_and_grad", "vjp"), "gradients"),
    "Derivation": "derivation",
    "Jacobian": "jacobians.operator",
    **dict.fromkeys(
        ("hessian", "hvp", "jacfwd", "jacobian", "jacrev", "linearize"), "jacobians.functions"
    ),
    "limits": "runtime.bounds",
    "scan": "scans",
    "check_backward": "verify.written",
    "check_grads": "verify.gradients",
    **dict.fromkeys(
        (
            *("ArgumentError", "CheckError", "DerivationError", "LimitError", "NotationError"),
            *("PositionError", "PullbackError", "ShapeError", "TraceError", "UnsupportedError"),
        ),
        "errors",
    ),
}

__all__ = [
    "ArgumentError",
    "CheckError",
    "Derivation",
    "DerivationError",
    "Jacobian",
    "LimitError",
    "NotationError",
    "PositionError",
    "PullbackError",
    "ShapeError",
    "TraceError",
    "UnsupportedError",
    "__version__",
    "arrangements",
    "check_backward",
    "check_grads",
    "define",
    "derive",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jvp",
    "layers",
    "limits",
    "linearize",
    "scan",
    "value_and_grad",
    "vjp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    module = import_module(f"{__name__}.{home or name}")
    value = module if home is None else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

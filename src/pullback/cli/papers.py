"""LaTeX on the command line: ``--latex``, ``--style``, ``--name``, ``--loss``, ``--width``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..derivation import Derivation


def latex(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The LaTeX that the options ask for."""
    given = {name: getattr(arguments, name) for name in ("style", "loss", "width")}
    return derivation.latex(
        arguments.latex or None,
        names=_names(arguments.name),
        matrix=arguments.matrix,
        **{name: value for name, value in given.items() if value is not None},
    )


def _names(given: Sequence[str]) -> dict[str, str]:
    r"""``X_hat=\hat{X}``, one an option.

    >>> _names([r"X_hat=\hat{X}"])
    {'X_hat': '\\hat{X}'}
    """
    found = {}
    for text in given:
        name, equals, drawn = text.partition("=")
        if not equals:
            raise ArgumentError(
                "a name can't be read", where=f"--name {text}"[:80], expected=r"e.g. X_hat=\hat{X}"
            )
        found[name.strip()] = drawn.strip()
    return found

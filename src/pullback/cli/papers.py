"""LaTeX on the command line: ``--latex``, ``--style``, ``--name``, ``--loss``, ``--width``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..derivation import Derivation


def add_papers(parser: argparse.ArgumentParser) -> None:
    """The options for papers."""
    add = parser.add_argument_group("LaTeX, also by --format latex or --out FILE.tex").add_argument
    add(
        "--latex",
        metavar="X",
        nargs="?",
        const="",
        help="LaTeX of the backward pass, or of the gradient of X with what it is computed from",
    )
    add("--style", metavar="STYLE", help="how gradients are written: d, partial, bar or delta")
    add(
        "--name",
        dest="names",
        action="append",
        default=[],
        metavar=r"X_hat=\hat{X}",
        help="LaTeX for a name of the program; repeat it",
    )
    add("--loss", metavar="LATEX", help=r"LaTeX for the loss, e.g. \mathcal{L}")
    add("--width", type=float, metavar="EM", help="of a line, in em (default: 31)")
    add("--matrix", action="store_true", help="whole matrices where there is such a form")


def latex(derivation: Derivation, arguments: argparse.Namespace) -> str:
    """The LaTeX that the options ask for."""
    return derivation.latex(
        arguments.latex or None, names=_names(arguments.names), **_given(arguments)
    )


def refuse_papers(arguments: argparse.Namespace) -> None:
    """Refuses options for LaTeX where something else is written."""
    given = [*_given(arguments), *(["name"] if arguments.names else [])]
    if given:
        raise ArgumentError(
            f"--{given[0]} is for LaTeX", expected="--latex, --format latex or --out FILE.tex"
        )


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    named = {name: getattr(arguments, name) for name in ("style", "loss", "width", "matrix")}
    return {name: value for name, value in named.items() if value not in (None, False)}


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

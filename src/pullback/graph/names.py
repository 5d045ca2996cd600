"""Names and formulas as the graph shows them."""

from __future__ import annotations

from ..ir.program import Define
from ..notation.matrix import matrix_form
from ..notation.terminal import Terminal, terminal


def label(name: str) -> str:
    """A name as formulas show it.

    >>> label("w0"), label("dx_hat")
    ('w₀', 'dx̂')
    """
    return Terminal().word(name)


def formula(statement: Define) -> str:
    """A statement in whole matrices where that reads well, in elements otherwise.

    >>> from pullback.notation.parse import parse
    >>> [formula(s) for s in parse("P[n,m] = sum(d) X[n,d]*W[d,m]; Y[n,m] = P[n,m]**2").statements]
    ['P = X W', 'Y[n,m] = P[n,m]²']
    """
    form = matrix_form(statement) if statement.target.shape else None
    return terminal(statement) if form is None or "^∘" in form.plain else form.plain

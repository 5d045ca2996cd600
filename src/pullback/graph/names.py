"""Names and formulas as the graph shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..ir.program import Define
from ..notation.matrix import matrix_form
from ..notation.terminal import Terminal, terminal


def label(name: str) -> str:
    """A name as formulas show it.

    >>> label("w0"), label("dx_hat")
    ('w₀', 'dx̂')
    """
    return Terminal().word(name)


def transposed(name: str) -> str:
    """The transpose of what has a name: ``Xᵀ``, ``(dL/dY)ᵀ``.

    >>> transposed("X"), transposed("dL/dY")
    ('Xᵀ', '(dL/dY)ᵀ')
    """
    return f"({name})ᵀ" if "/" in name else f"{name}ᵀ"


def renamed(formula: str, names: Mapping[str, str]) -> str:
    """A formula with other names for some of its own, transposed ones included.

    >>> renamed("x dyᵀ + dy2", {"dy": "dL/dy"})
    'x (dL/dy)ᵀ + dy2'
    """
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = rf"(?<![\w/])({words})(ᵀ?)(?![\w\u0300-\u036f])"

    def named(found: re.Match[str]) -> str:
        name = names[found[1]]
        return transposed(name) if found[2] else name

    return re.sub(pattern, named, formula) if names else formula


def formula(statement: Define) -> str:
    """A statement in whole matrices where that reads well, in elements otherwise.

    >>> from pullback.notation.parse import parse
    >>> [formula(s) for s in parse("P[n,m] = sum(d) X[n,d]*W[d,m]; Y[n,m] = P[n,m]**2").statements]
    ['P = X W', 'Y[n,m] = P[n,m]²']
    """
    form = matrix_form(statement) if statement.target.shape else None
    return terminal(statement) if form is None or "^∘" in form.plain else form.plain
